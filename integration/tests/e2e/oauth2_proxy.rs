//! oauth2-proxy, from which users come, as they configure it for Keycloak.

use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::go;
use lictor_integration::launch::Launch;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;

use crate::client::{Request, plain};
use crate::clock::starting;
use crate::keycloak_admin::REALM;
use crate::keycloak_versions::Keycloak;
use crate::world::{eventually, new_layout, progress, stop, world};

const PART: &str = "oauth2-proxy";

/// A running one. Dropping it ends it.
pub struct OAuth2Proxy {
    running: Running,
}

impl OAuth2Proxy {
    /// Starts it on `port` for a public origin, with the people of this Keycloak. `upstream` is
    /// what it passes requests to.
    pub fn start(port: u16, origin: &str, upstream: &str, keycloak: Keycloak<'_>) -> Self {
        starting(|| Self::started(port, origin, upstream, keycloak))
    }

    fn started(port: u16, origin: &str, upstream: &str, keycloak: Keycloak<'_>) -> Self {
        let layout = new_layout(PART, Ports::unused().unwrap());
        let program = go::oauth2_proxy(&layout, &Cache::of_user().unwrap(), &progress());
        let program = program.unwrap_or_else(|e| panic!("{e}"));
        // The issuer has two names: that of browsers, and one that this program can resolve.
        let issuer = keycloak.layout.issuer();
        let inside = format!("http://127.0.0.1:{}/realms/{REALM}", keycloak.port());
        let args = [
            format!("--http-address=127.0.0.1:{port}"),
            "--provider=oidc".to_owned(),
            "--client-id=prefect".to_owned(),
            format!("--oidc-issuer-url={issuer}"),
            "--skip-oidc-discovery=true".to_owned(),
            format!("--login-url={issuer}/protocol/openid-connect/auth"),
            format!("--redeem-url={inside}/protocol/openid-connect/token"),
            format!("--oidc-jwks-url={inside}/protocol/openid-connect/certs"),
            "--code-challenge-method=S256".to_owned(),
            format!("--redirect-url={origin}/oauth2/callback"),
            "--scope=openid email profile".to_owned(),
            "--email-domain=*".to_owned(),
            "--insecure-oidc-allow-unverified-email=true".to_owned(),
            format!("--cookie-secure={}", origin.starts_with("https:")),
            "--cookie-samesite=lax".to_owned(),
            "--skip-provider-button=true".to_owned(),
            "--reverse-proxy=true".to_owned(),
            "--set-xauthrequest=true".to_owned(),
            format!("--upstream={upstream}"),
        ];
        let secret = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let launch = Launch {
            part: PART,
            program,
            args: args.into(),
            env: vec![
                secret("OAUTH2_PROXY_CLIENT_SECRET", &world().secrets.client_secret),
                secret("OAUTH2_PROXY_COOKIE_SECRET", "0123456789abcdef0123456789abcdef"),
            ],
            folder: layout.state.clone(),
            inputs: Vec::new(),
        };
        let running = launch.start(&layout).unwrap_or_else(|e| panic!("{e}"));
        eventually("oauth2-proxy serves", Duration::from_secs(20), || {
            assert!(running.is_alive(), "oauth2-proxy has ended: {}", layout.log(PART).display());
            plain(port, &Request::get("/ping")).ok().filter(|answer| answer.status == 200)
        });
        Self { running }
    }
}

impl Drop for OAuth2Proxy {
    fn drop(&mut self) {
        stop(&self.running);
    }
}
