//! HTTP/1.1 by the byte: what is sent is exactly what a test wrote, what comes back is parsed.

use std::io::{self, Read, Write};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in order, duplicates kept.
    pub headers: Vec<(String, String)>,
    /// Chunked coding undone.
    pub body: Vec<u8>,
}

impl Answer {
    /// Every value of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.header(name).is_some()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; the whole answer is shown when it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// `code` of a refusal.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {}", self.text()))
            .to_owned()
    }

    #[track_caller]
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }
}

/// Sends bytes and reads one answer. `bodiless` for answers to HEAD.
pub fn exchange(
    stream: &mut (impl Read + Write),
    request: &[u8],
    bodiless: bool,
) -> io::Result<Answer> {
    // A server may answer and close before it has read everything: the answer still counts.
    let written = stream.write_all(request).and_then(|()| stream.flush());
    let mut reader = Reader { stream, held: Vec::new() };
    match reader.answer(bodiless) {
        Ok(answer) => Ok(answer),
        Err(cause) => Err(written.err().unwrap_or(cause)),
    }
}

/// Reads answers off a stream; what came behind one is kept.
pub struct Reader<'a, S> {
    pub stream: &'a mut S,
    pub held: Vec<u8>,
}

impl<S: Read> Reader<'_, S> {
    fn more(&mut self) -> io::Result<()> {
        let mut block = [0; 16 * 1024];
        let read = self.stream.read(&mut block)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.held.extend_from_slice(&block[..read]);
        Ok(())
    }

    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < count {
            self.more()?;
        }
        Ok(self.held.drain(..count).collect())
    }

    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.held.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.held.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.more()?;
        }
    }

    /// Status and headers; interim answers but 101 are skipped.
    pub fn head(&mut self) -> io::Result<Answer> {
        loop {
            let first = self.line()?;
            let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status
                .filter(|_| first.starts_with("HTTP/1."))
                .ok_or_else(|| io::Error::other(format!("no HTTP: {first:?}")))?;
            let mut headers = Vec::new();
            loop {
                let line = self.line()?;
                let Some((name, value)) = line.split_once(':') else { break };
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            if status == 101 || status >= 200 {
                return Ok(Answer { status, headers, body: Vec::new() });
            }
        }
    }

    pub fn answer(&mut self, bodiless: bool) -> io::Result<Answer> {
        let mut answer = self.head()?;
        if bodiless || matches!(answer.status, 101 | 204 | 304) {
            return Ok(answer);
        }
        answer.body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else if let Some(length) = answer.header("content-length") {
            self.take(length.parse().map_err(io::Error::other)?)?
        } else {
            while self.more().is_ok() {}
            std::mem::take(&mut self.held)
        };
        Ok(answer)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.take(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}
