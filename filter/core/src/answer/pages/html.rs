//! Renders pages as HTML, in which all dynamic text is escaped.

use super::{Action, Mood, Page};

/// The style sheet of all pages, whose hash is in the content security policy.
pub(crate) const STYLE: &str = include_str!("style.css");

impl Page {
    /// Returns the page's HTML document.
    #[must_use]
    pub(crate) fn html(&self) -> String {
        let (mood, drawing) = self.mood.drawing();
        let mut main = format!(
            "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"11.4\"/>\
             <path d=\"{drawing}\"/></svg><h1>{}</h1>",
            self.title
        );
        main.extend(self.lines.iter().map(|line| format!("<p>{}</p>", escape(line))));
        if !self.facts.is_empty() {
            let fact = |(name, value): &(&str, String)| {
                format!("<dt>{name}</dt><dd>{}</dd>", escape(value))
            };
            main.push_str("<dl>");
            main.extend(self.facts.iter().map(fact));
            main.push_str("</dl>");
        }
        main.extend(self.copy.as_ref().map(|(label, text)| {
            let text = escape(text);
            // In a textarea, Ctrl+A selects this text alone.
            format!(
                "<p><label for=\"copy\">{label}</label></p>\
                 <textarea id=\"copy\" readonly rows=\"6\" spellcheck=\"false\">{text}</textarea>"
            )
        }));
        main.extend(self.advice.map(|advice| format!("<p class=\"soft\">{advice}</p>")));
        main.extend(self.again.as_ref().map(|(seconds, _)| {
            format!("<p class=\"soft\">This page retries every {seconds} seconds.</p>")
        }));
        if !self.actions.is_empty() {
            main.push_str("<nav aria-label=\"What you can do\">");
            main.extend(self.actions.iter().enumerate().map(|(at, action)| action.html(at == 0)));
            main.push_str("</nav>");
        }
        main.extend(self.request.as_ref().map(|id| {
            format!(
                "<footer>Request ID for your administrator: <code>{}</code></footer>",
                escape(id)
            )
        }));
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"robots\" content=\"noindex\"><title>{} · Prefect</title>\
             <style>{STYLE}</style></head><body><main class=\"{mood}\">{main}</main></body></html>",
            self.title,
        )
    }
}

impl Mood {
    /// Returns the CSS class, and the path of the drawing inside the icon's circle.
    const fn drawing(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("good", "m7.5 12.4 3 3 6-6.6"),
            Self::Ask => ("ask", "M9.6 9.6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.2 1-1.2 1.9m0 2.9v.1"),
            Self::Stop => ("stop", "M8 11.2h8v5.3H8zm1.6 0V9.6a2.4 2.4 0 0 1 4.8 0v1.6"),
            Self::Wait => ("wait", "M12 7.4v4.8l3 1.8"),
            Self::Fault => ("wait", "M12 7.2v6m0 3.2v.1"),
        }
    }
}

impl Action {
    fn html(&self, first: bool) -> String {
        let (label, path) = (self.label, escape(&self.path));
        let class = if first { " class=\"first\"" } else { "" };
        if self.post {
            format!(
                "<form method=\"post\" action=\"{path}\"><button{class}>{label}</button></form>"
            )
        } else {
            format!("<a{class} href=\"{path}\">{label}</a>")
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
