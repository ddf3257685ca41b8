//! The root context, which reads the settings and does the site's work.

use std::cell::RefCell;
use std::rc::Rc;

use lictor_core::{Config, Services, Site, StreamId};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::host::HostEntropy;
use crate::http::Http;
use crate::shared::Shared;
use crate::shared_data::SharedData;
use crate::signatures::HostSignatures;
use crate::work;

/// The root context of one plugin configuration.
pub struct Root {
    shared: Rc<Shared>,
}

impl Root {
    pub fn new(id: u32) -> Self {
        Self { shared: Rc::new(Shared::new(id)) }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        work::on_call(&self.shared, token, body_size);
    }
}

impl RootContext for Root {
    /// Compiles the configuration, without network access.
    ///
    /// All workers must come to the same verdict, because `false` on one worker would poison every
    /// later configuration (envoy #43751).
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        match Config::compile(&text, &|name| std::env::var(name).ok()) {
            Ok(config) => {
                let services = Services {
                    signatures: Rc::new(HostSignatures),
                    store: Rc::new(SharedData),
                    entropy: Rc::new(RefCell::new(HostEntropy)),
                };
                config.warnings().iter().for_each(|line| log::warn!("{line}"));
                self.shared.install(Site::new(config, services));
                true
            }
            Err(errors) => {
                log::error!("{errors}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        work::due(&self.shared);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(StreamId(id), Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
