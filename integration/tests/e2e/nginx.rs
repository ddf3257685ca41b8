//! The real nginx of the operating system.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lictor_integration::launch::Launch;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;

use crate::client::{Request, plain};
use crate::http1::Answer;
use crate::world::{eventually, new_layout, stop};

/// A running one. Dropping it ends it.
pub struct Nginx {
    pub port: u16,
    running: Running,
}

impl Nginx {
    /// Starts it with these contents of its `http` block, in which it listens on `port`.
    pub fn start(port: u16, http: &str) -> Self {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
        let program = program.into_iter().find(|path| path.is_file());
        let program = program.expect("nginx is not there (make setup)").to_path_buf();
        let layout = new_layout("nginx", Ports::unused().unwrap());
        let folder = layout.state.clone();
        let file = folder.join("nginx.conf");
        let text = format!(
            "daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
            events {{}}
            http {{
              access_log off;
              client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
              uwsgi_temp_path t4; scgi_temp_path t5;
              {http}
            }}"
        );
        fs::write(&file, text).unwrap();
        let launch = Launch {
            part: "nginx",
            program,
            args: vec![
                "-p".into(),
                folder.to_string_lossy().into_owned(),
                "-c".into(),
                file.to_string_lossy().into_owned(),
            ],
            env: Vec::new(),
            folder,
            inputs: Vec::new(),
        };
        let running = launch.start(&layout).unwrap_or_else(|e| panic!("{e}"));
        eventually("nginx listens", Duration::from_secs(10), || {
            assert!(running.is_alive(), "nginx has ended: {}", layout.log("nginx").display());
            crate::client::connect(port).ok()
        });
        Self { port, running }
    }

    /// Sends a request without TLS.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        plain(self.port, request).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        stop(&self.running);
    }
}
