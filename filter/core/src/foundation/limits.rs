//! Every number that bounds what an outsider can make Lictor hold or do (docs/threats.md, T-D3, T-D4).

use core::time::Duration;

use crate::foundation::cache::CacheBounds;

/// So many at once, and one more each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// How many at once.
    pub(crate) burst: u32,
    /// How long until there is one more.
    pub(crate) each: Duration,
}

/// All `Cookie` lines of a request together, in bytes.
pub(crate) const COOKIE_HEADER: usize = 32 * 1024;
/// One token or password, in bytes.
pub(crate) const TOKEN: usize = 16 * 1024;
/// A JWKS answer, in bytes.
pub(crate) const JWKS_BYTES: usize = 256 * 1024;
/// Keys taken from one JWKS.
pub(crate) const JWKS_KEYS: usize = 64;
/// Any other answer of the identity provider, in bytes.
pub(crate) const IDP_ANSWER: usize = 1024 * 1024;
/// Smallest and largest RSA modulus, in bits.
pub(crate) const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=4096;
/// Nesting of any JSON text that is read.
pub(crate) const JSON_DEPTH: usize = 32;
/// Clock leeway for token times, in seconds.
pub(crate) const LEEWAY: u64 = 60;
/// How long one call to the identity provider may take.
pub(crate) const CALLOUT_TIMEOUT: Duration = Duration::from_secs(5);
/// Code exchanges under way in one worker.
pub(crate) const LOGINS_IN_FLIGHT: usize = 128;
/// Requests that wait for keys or for a refreshed session in one worker.
pub(crate) const WAITING_REQUESTS: usize = 1024;
/// Refreshes under way in one worker.
pub(crate) const REFRESHES_IN_FLIGHT: usize = 64;
/// Exchanges of client credentials under way in one worker, and as many again of those that were good
/// before.
pub(crate) const CLIENT_GRANTS_IN_FLIGHT: usize = 32;
/// Credentials whose exchange is remembered in one worker, and as many refused ones.
pub(crate) const CLIENT_GRANTS: usize = 1024;
/// A client's name, in bytes,
pub(crate) const CLIENT_ID: usize = 255;
/// and its secret, which goes to the provider in a header.
pub(crate) const CLIENT_SECRET: usize = 1024;
/// How often credentials that nobody knows may be tried with one client's name from one network,
pub(crate) const ATTEMPTS_PER_CLIENT: Rate = Rate { burst: 8, each: Duration::from_secs(4) };
/// with any name from one network,
pub(crate) const ATTEMPTS_PER_NETWORK: Rate = Rate { burst: 64, each: Duration::from_millis(125) };
/// and how many names and networks are counted.
pub(crate) const NETWORKS: usize = 4096;
/// How long a login attempt may take.
pub(crate) const LOGIN_ATTEMPT: Duration = Duration::from_secs(30 * 60);
/// How long ago a person must have logged in to make a personal token,
pub(crate) const FRESH_LOGIN: Duration = Duration::from_secs(300);
/// and how long a terminal may take to trade its code for one.
pub(crate) const CODE: Duration = Duration::from_secs(300);
/// Access tokens that are remembered as verified in one worker.
pub(crate) const VERIFIED: CacheBounds = CacheBounds { entries: 1024, bytes: 4 * 1024 * 1024 };
/// Session cookies that are remembered as opened in one worker.
pub(crate) const OPENED: CacheBounds = CacheBounds { entries: 1024, bytes: 4 * 1024 * 1024 };
/// Login attempts that one browser may have open.
pub(crate) const LOGIN_ATTEMPTS: usize = 5;
/// One piece of a session cookie, in bytes (browsers drop cookies beyond 4096 octets, name included);
/// there are at most four.
pub(crate) const COOKIE_PIECE: usize = 3800;
/// A request's body that is judged, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;
/// The first frame of a socket, in bytes, and how long it may take.
pub(crate) const FIRST_FRAME: usize = 4 * 1024;
/// See [`FIRST_FRAME`].
pub(crate) const FIRST_FRAME_WAIT: Duration = Duration::from_secs(5);
/// Bytes of pings that may pass before the first frame: a few of any allowed size.
pub(crate) const PINGS: usize = 4 * (125 + 6);
/// Bytes that are held while the provider is being asked about a first frame, pings before it included.
pub(crate) const HELD: usize = FIRST_FRAME + PINGS + 64;
/// Sockets that wait for their first frame, in one worker.
pub(crate) const PENDING_SOCKETS: usize = 32;
/// The same, for one client address.
pub(crate) const PENDING_SOCKETS_PER_ADDRESS: usize = 16;
/// Sockets that one principal may have open at one worker: a flow run has one or two, a worker three.
pub(crate) const SOCKETS_OF_PRINCIPAL: usize = 512;
/// Sockets that stand in line for such a place, in one worker,
pub(crate) const QUEUED_SOCKETS: usize = 256;
/// and of one client address.
pub(crate) const QUEUED_SOCKETS_PER_ADDRESS: usize = 128;
/// A body of Prefect's that is rewritten (its UI settings), in bytes; below Envoy Gateway's
/// default buffer limit of 32 KiB, since a longer held body would be cut.
pub(crate) const REWRITTEN_BODY: usize = 24 * 1024;
/// An answer of Prefect's that is masked, in bytes; what is longer nobody gets unmasked.
pub(crate) const MASKED_BODY: usize = 1_000_000;
/// Nesting of an answer of Prefect's that is masked.
pub(crate) const MASKED_DEPTH: usize = 100;
/// A message by which a client says which events it wants, where some are not for it.
pub(crate) const EVENT_FILTER: usize = 16 * 1024;
/// A return path, in bytes: it travels in the login cookie.
pub(crate) const RETURN_PATH: usize = 2048;
/// Text of a token or header that is shown in a log line, in characters.
pub(crate) const LOGGED_TEXT: usize = 120;
