//! The real Chromium, driven over WebDriver.

mod checks;

use std::env;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use lictor_integration::command::output_of;
use lictor_integration::launch::Launch;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::client::{Request, plain};
use crate::clock::{pause, starting};
use crate::world::{checkout, eventually, new_layout, password, say};

/// As a person has chosen it: continue where you left off.
const RESTORE: &str = "--restore-last-session";
/// Longer than a page takes on a machine that is busy with three times what it can do.
const PATIENCE: Duration = Duration::from_secs(150);

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static DRIVER: OnceLock<Driver> = OnceLock::new();

struct Driver {
    port: u16,
    folder: PathBuf,
    running: Running,
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("the browser hangs") })
}

impl Driver {
    fn start() -> Self {
        for program in ["chromedriver", "chromium"] {
            let found =
                output_of(Command::new("sh").args(["-c", &format!("command -v {program}")]));
            assert!(
                found.is_some(),
                "{program} is not on the PATH (apt-get install chromium chromium-driver)"
            );
        }
        let ports = Ports::unused().unwrap();
        let layout = new_layout("browser", ports);
        let home = layout.state.to_string_lossy().into_owned();
        let launch = Launch {
            part: "chromedriver",
            program: "chromedriver".into(),
            args: vec![format!("--port={}", ports.https)],
            env: [("HOME", home.clone()), ("TMPDIR", home)]
                .map(|(n, v)| (n.to_owned(), v))
                .to_vec(),
            folder: layout.state.clone(),
            inputs: Vec::new(),
        };
        let running = launch.start(&layout).unwrap();
        eventually("chromedriver answers", PATIENCE, || {
            plain(ports.https, &Request::get("/status")).ok().filter(|answer| answer.status == 200)
        });
        Self { port: ports.https, folder: layout.state, running }
    }
}

fn driver() -> &'static Driver {
    DRIVER.get_or_init(|| starting(Driver::start))
}

/// Ends the driver and with it every browser.
pub fn close() {
    if let Some(driver) = DRIVER.get() {
        let _reported = driver.running.stop().map_err(|error| say(&error.to_string()));
    }
}

/// One browser with a profile of its own. Dropping it closes it.
pub struct Browser {
    client: Client,
    driver: &'static Driver,
}

impl Browser {
    pub fn open() -> Self {
        Self::with(Vec::new())
    }

    /// With a profile that stays when the browser is closed, and the tabs that it had then.
    pub fn with_profile(name: &str) -> Self {
        let folder = driver().folder.join(name);
        Self::with(vec![format!("--user-data-dir={}", folder.display()), RESTORE.to_owned()])
    }

    fn with(further: Vec<String>) -> Self {
        let driver = driver();
        let root = output_of(Command::new("id").arg("-u")).as_deref() == Some("0");
        let mut arguments = vec![
            "--headless=new",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--window-size=1280,900",
            // Nothing but loopback, whatever a page or Chromium itself asks for.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1",
            "--no-first-run",
            "--no-default-browser-check",
            "--no-pings",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-domain-reliability",
            "--disable-extensions",
            "--disable-sync",
            "--metrics-recording-only",
            "--password-store=basic",
            "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
        ];
        if root {
            // Chromium refuses to run as root inside its sandbox.
            arguments.push("--no-sandbox");
        }
        arguments.extend(further.iter().map(String::as_str));
        let capabilities = json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        });
        let capabilities = capabilities.as_object().unwrap().clone();
        let address = format!("http://127.0.0.1:{}", driver.port);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let client = starting(|| block(builder.connect(&address)));
        let client = client.unwrap_or_else(|e| panic!("no browser: {e}"));
        Self { client, driver }
    }

    #[track_caller]
    pub fn goto(&self, url: &str) {
        block(self.client.goto(url)).unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    /// For an address that may not answer.
    pub fn try_goto(&self, url: &str) {
        let _shown_by_the_browser = block(self.client.goto(url));
    }

    pub fn back(&self) {
        block(self.client.back()).unwrap();
    }

    pub fn forward(&self) {
        block(self.client.forward()).unwrap();
    }

    pub fn reload(&self) {
        block(self.client.refresh()).unwrap();
    }

    pub fn url(&self) -> String {
        block(self.client.current_url()).unwrap().to_string()
    }

    /// The text that a person sees.
    pub fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        self.script(script).as_str().unwrap_or_default().to_owned()
    }

    pub fn script(&self, script: &str) -> Value {
        block(self.client.execute(script, Vec::new())).unwrap_or(Value::Null)
    }

    /// Waits until the page satisfies; what it shows is told when it does not.
    #[track_caller]
    pub fn wait(&self, what: &str, mut satisfied: impl FnMut(&Self) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !satisfied(self) {
            if std::time::Instant::now() > deadline {
                let picture = self.picture("failed");
                panic!(
                    "not seen: {what}, at {} ({}): {}",
                    self.url(),
                    picture.display(),
                    self.text()
                );
            }
            pause(Duration::from_millis(100));
        }
    }

    #[track_caller]
    pub fn wait_text(&self, wanted: &str) {
        self.wait(wanted, |browser| browser.text().contains(wanted));
    }

    pub fn has(&self, css: &str) -> bool {
        block(self.client.find(Locator::Css(css))).is_ok()
    }

    #[track_caller]
    pub fn click(&self, css: &str) {
        self.wait(css, |browser| browser.has(css));
        block(async { self.client.find(Locator::Css(css)).await?.click().await }).unwrap();
    }

    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        self.wait(css, |browser| browser.has(css));
        block(async { self.client.find(Locator::Css(css)).await?.send_keys(text).await }).unwrap();
    }

    /// Presses a button, or an entry of a menu, by what stands on it.
    #[track_caller]
    pub fn click_on(&self, label: &str) {
        let path = format!(
            "//*[self::button or @role='menuitem' or @role='button'][normalize-space()='{label}']"
        );
        let found = || async {
            let mut all = self.client.find_all(Locator::XPath(&path)).await?;
            // Of a menu and a question behind it, the one in front.
            while let Some(one) = all.pop() {
                if one.is_displayed().await? && one.click().await.is_ok() {
                    return Ok::<_, fantoccini::error::CmdError>(true);
                }
            }
            Ok(false)
        };
        self.wait(label, |_| block(found()).unwrap_or(false));
    }

    /// Keycloak's form, which must be there.
    #[track_caller]
    pub fn log_in(&self, user: &str) {
        self.fill("#username", user);
        self.fill("#password", &password(user));
        self.click("#kc-login");
    }

    /// The same form, which may vanish meanwhile. Whether it was sent.
    pub fn try_log_in(&self, user: &str) -> bool {
        let sent = block(async {
            for (field, text) in [("#username", user), ("#password", &password(user))] {
                let field = self.client.find(Locator::Css(field)).await?;
                field.clear().await?;
                field.send_keys(text).await?;
            }
            self.client.find(Locator::Css("#kc-login")).await?.click().await
        });
        sent.is_ok()
    }

    /// A second tab, which is then the one in front.
    pub fn new_tab(&self) {
        let tab = block(self.client.new_window(true)).unwrap();
        block(self.client.switch_to_window(tab.handle)).unwrap();
    }

    /// Brings one of the tabs to the front, by its place in the order of their opening.
    pub fn tab(&self, at: usize) {
        let mut tabs = block(self.client.windows()).unwrap();
        block(self.client.switch_to_window(tabs.swap_remove(at))).unwrap();
    }

    /// Closes the tab in front; [`Self::tab`] brings another one there.
    pub fn close_tab(&self) {
        block(self.client.close_window()).unwrap();
    }

    pub fn tabs(&self) -> usize {
        block(self.client.windows()).unwrap().len()
    }

    /// What is shown in a frame of the page: its address and text.
    pub fn frame(&self, at: u16) -> (String, String) {
        block(self.client.enter_frame(at)).unwrap();
        let address = self.script("return location.href");
        let text = self.text();
        block(self.client.enter_parent_frame()).unwrap();
        (address.as_str().unwrap_or_default().to_owned(), text)
    }

    /// Drops cookies of an address whose names begin so, as the browser does when they are over.
    pub fn drop_cookies(&self, address: &str, prefix: &str) -> usize {
        let held = self.cdp("Network.getCookies", &json!({ "urls": [address] }))["cookies"].take();
        let names = held.as_array().unwrap().iter().filter_map(|cookie| cookie["name"].as_str());
        let names: Vec<&str> = names.filter(|name| name.starts_with(prefix)).collect();
        for name in &names {
            self.cdp("Network.deleteCookies", &json!({ "url": address, "name": name }));
        }
        names.len()
    }

    /// `light` or `dark`, as the person's system would say.
    pub fn scheme(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// From now on nothing comes out of the browser's cache. With a certificate of our own CA
    /// nothing would in any case.
    pub fn without_cache(&self) {
        self.cdp("Network.enable", &json!({}));
        self.cdp("Network.setCacheDisabled", &json!({ "cacheDisabled": true }));
    }

    /// A command of Chromium's own protocol, for the tab in front.
    #[track_caller]
    fn cdp(&self, command: &str, parameters: &Value) -> Value {
        let session = block(self.client.session_id()).unwrap().unwrap();
        let body = json!({ "cmd": command, "params": parameters });
        let path = format!("/session/{session}/goog/cdp/execute");
        let answer = plain(self.driver.port, &Request::post(path, &body.to_string())).unwrap();
        answer.expect(200).json()["value"].take()
    }

    /// Takes a picture; where it went.
    pub fn picture(&self, name: &str) -> PathBuf {
        let folder = if env::var_os("LICTOR_SCREENSHOTS").is_some() && name != "failed" {
            checkout().join("docs/images")
        } else {
            self.driver.folder.join("images")
        };
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        let session = block(self.client.session_id()).unwrap().unwrap();
        let request = Request::get(format!("/session/{session}/screenshot"));
        let answer = plain(self.driver.port, &request).unwrap().expect(200).json();
        let png = STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
        write(&file, &png);
        file
    }
}

fn write(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of a failed test the browser may be gone already.
        let _gone = starting(|| block(self.client.clone().close()));
    }
}
