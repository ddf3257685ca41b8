//! oauth2-proxy, from which users come, as they configure it for Keycloak.

use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::go;
use lictor_integration::launch::Launch;
use lictor_integration::ports::{self, Ports};
use lictor_integration::process::Running;

use crate::client::{Request, plain};
use crate::clock::starting;
use crate::world::{eventually, new_layout, progress, stop, world};

const PART: &str = "oauth2-proxy";

/// A running one. Dropping it ends it.
pub struct OAuth2Proxy {
    pub port: u16,
    running: Running,
}

impl OAuth2Proxy {
    /// Starts it for a public origin. `upstream` is what it passes requests to.
    pub fn start(origin: &str, upstream: &str) -> Self {
        starting(|| Self::started(origin, upstream))
    }

    fn started(origin: &str, upstream: &str) -> Self {
        let world = world();
        let layout = new_layout(PART, Ports::unused().unwrap());
        let program = go::oauth2_proxy(&layout, &Cache::of_user().unwrap(), &progress());
        let program = program.unwrap_or_else(|e| panic!("{e}"));
        let [port] = ports::unused().unwrap();
        // The issuer has two names: that of browsers, and one that this program can resolve.
        let issuer = world.layout.issuer();
        let inside = format!("http://127.0.0.1:{}/realms/prefect", world.layout.ports.keycloak);
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
            "--cookie-secure=true".to_owned(),
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
                secret("OAUTH2_PROXY_CLIENT_SECRET", &world.secrets.client_secret),
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
        Self { port, running }
    }
}

impl Drop for OAuth2Proxy {
    fn drop(&mut self) {
        stop(&self.running);
    }
}
