//! Real proxies in front of Envoy or of an application: those of the operating system, and Traefik.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::go;
use lictor_integration::launch::Launch;
use lictor_integration::layout::Layout;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;

use crate::client::{Gate, Request, connect, plain};
use crate::http1::{Answer, exchange};
use crate::world::{checkout, eventually, new_layout, progress, stop, world};

/// Which one.
#[derive(Clone, Copy)]
pub enum Program {
    Apache,
    Caddy,
    HaProxy,
    Nginx,
    Traefik,
}

/// A running one. Dropping it ends it.
pub struct FrontProxy {
    pub port: u16,
    program: Program,
    path: PathBuf,
    layout: Layout,
    running: Running,
}

/// The name of the configuration in the folder of each. Traefik looks at its end.
const CONFIGURATION: &str = "configuration.yaml";
/// What Traefik starts with.
const OF_TRAEFIK: &str = "traefik.yaml";

/// The modules that Apache's sample needs, beside those of any Apache.
const APACHE_MODULES: [&str; 9] = [
    "mpm_event",
    "authz_core",
    "headers",
    "http2",
    "proxy",
    "proxy_http",
    "reqtimeout",
    "socache_shmcb",
    "ssl",
];

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Apache => "apache2",
            Self::Caddy => "caddy",
            Self::HaProxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
        }
    }

    /// The file of the program.
    fn path(self, layout: &Layout) -> PathBuf {
        let name = self.name();
        if matches!(self, Self::Traefik) {
            let built = go::traefik(layout, &Cache::of_user().unwrap(), &progress());
            return built.unwrap_or_else(|e| panic!("{e}"));
        }
        let paths = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
        let path = paths.into_iter().find(|path| path.is_file());
        path.unwrap_or_else(|| panic!("{name} is not there (make setup)"))
    }

    /// Whether it listens, with its configuration.
    fn listens(self, port: u16) -> Option<()> {
        match self {
            // It listens before it has read its configuration, of which it uses part by part.
            Self::Traefik => {
                let mut stream = Gate::new(&world().pki.ca, port).connect("localhost").ok()?;
                let request = Request::get("/oauth2/live").bytes(&format!("localhost:{port}"));
                let answer = exchange(&mut stream, &request, false).ok()?;
                (answer.status == 200).then_some(())
            }
            _ => connect(port).ok().map(drop),
        }
    }

    /// The whole configuration around what is under test: what is about processes and files.
    fn framed(self, folder: &str, port: u16, text: &str) -> String {
        match self {
            Self::Apache => {
                let modules = APACHE_MODULES.map(|name| {
                    format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
                });
                format!(
                    "ServerRoot {folder}\nDefaultRuntimeDir {folder}\nPidFile {folder}/pid\n\
                     ServerName localhost\nUser www-data\nGroup www-data\n{}\
                     ErrorLog /proc/self/fd/2\nListen 127.0.0.1:{port}\n{text}",
                    modules.concat()
                )
            }
            Self::Caddy => format!(
                "{{\n admin off\n default_bind 127.0.0.1\n \
                 auto_https disable_redirects\n}}\n{text}"
            ),
            Self::HaProxy | Self::Traefik => text.to_owned(),
            Self::Nginx => format!(
                "daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
                events {{}}
                http {{
                  access_log off;
                  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
                  uwsgi_temp_path t4; scgi_temp_path t5;
                  {text}
                }}"
            ),
        }
    }

    /// The whole file that it starts with, if that is another one.
    fn static_file(self, port: u16, file: &str) -> Option<(&'static str, String)> {
        let Self::Traefik = self else { return None };
        let path = checkout().join("envoy/proxies").join(OF_TRAEFIK);
        let text = fs::read_to_string(path).unwrap();
        let (address, own) = ("\":443\"", "/etc/traefik/prefect.yaml");
        assert!(text.contains(address) && text.contains(own), "{text}");
        let text = text.replace(address, &format!("127.0.0.1:{port}")).replace(own, file);
        Some((OF_TRAEFIK, text))
    }

    fn arguments(self, folder: &str, file: &str) -> Vec<String> {
        let arguments: &[&str] = match self {
            Self::Apache => &["-d", folder, "-f", file, "-DFOREGROUND"],
            Self::Caddy => &["run", "--adapter", "caddyfile", "--config", file],
            Self::HaProxy => &["-db", "-f", file],
            Self::Nginx => &["-p", folder, "-c", file],
            Self::Traefik => &[&format!("--configFile={folder}/{OF_TRAEFIK}")],
        };
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }
}

impl FrontProxy {
    /// Starts it with this configuration, in which it listens on `port`: for nginx, the contents of
    /// its `http` block; for Apache, what follows `Listen`; for Traefik, its dynamic configuration.
    pub fn start(program: Program, port: u16, text: &str) -> Self {
        let name = program.name();
        let layout = new_layout(name, Ports::unused().unwrap());
        let path = program.path(&layout);
        let folder = layout.state.to_string_lossy().into_owned();
        let file = layout.state.join(CONFIGURATION);
        fs::write(&file, program.framed(&folder, port, text)).unwrap();
        if let Some((name, text)) = program.static_file(port, &file.to_string_lossy()) {
            fs::write(layout.state.join(name), text).unwrap();
        }
        let launch = Launch {
            part: name,
            program: path.clone(),
            args: program.arguments(&folder, &file.to_string_lossy()),
            // Caddy keeps what it makes there.
            env: vec![("HOME".into(), folder.clone()), ("XDG_DATA_HOME".into(), folder)],
            folder: layout.state.clone(),
            inputs: Vec::new(),
        };
        let running = launch.start(&layout).unwrap_or_else(|e| panic!("{e}"));
        eventually(&format!("{name} listens"), Duration::from_secs(10), || {
            assert!(running.is_alive(), "{name} has ended: {}", layout.log(name).display());
            program.listens(port)
        });
        Self { port, program, path, layout, running }
    }

    /// Lets it go on with another configuration. Its present connections end by themselves. Only
    /// nginx can be told so here.
    pub fn reload(&self, text: &str) {
        assert!(matches!(self.program, Program::Nginx), "only nginx");
        let (folder, file) = (self.layout.state.to_string_lossy(), self.file());
        fs::write(&file, self.program.framed(&folder, self.port, text)).unwrap();
        let arguments = self.program.arguments(&folder, &file.to_string_lossy());
        let output = Command::new(&self.path).args(arguments).args(["-s", "reload"]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self) -> PathBuf {
        self.layout.state.join(CONFIGURATION)
    }

    /// Sends a request without TLS.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        plain(self.port, request).unwrap()
    }
}

impl Drop for FrontProxy {
    fn drop(&mut self) {
        stop(&self.running);
    }
}
