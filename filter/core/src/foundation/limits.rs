//! Limits on what an outsider can make Lictor store or do (docs/threats.md T-D4).
//!
//! A few limits are beside the code that they belong to, such as those of the records that workers
//! share (`workers::answers`, `workers::tombstones`).

use core::time::Duration;

use crate::foundation::cache::CacheBounds;

/// A rate limit in the form of a token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// How many attempts are possible in a row.
    pub(crate) burst: u32,
    /// How long it takes until one more attempt is possible.
    pub(crate) each: Duration,
}

/// Largest sum of all `Cookie` lines of a request, in bytes.
pub(crate) const COOKIE_HEADER: usize = 32 * 1024;
/// Largest token or credential header, in bytes.
pub(crate) const TOKEN: usize = 16 * 1024;
/// Largest token in an answer of the provider, in bytes. A person in many groups has a long one.
pub(crate) const PROVIDER_TOKEN: usize = 256 * 1024;
/// Largest JWKS response, in bytes.
pub(crate) const JWKS_BYTES: usize = 256 * 1024;
/// Largest number of keys in one JWKS.
pub(crate) const JWKS_KEYS: usize = 64;
/// Largest response of the identity provider, in bytes. A JWKS has its own limit,
/// [`JWKS_BYTES`].
pub(crate) const IDP_ANSWER: usize = 1024 * 1024;
/// Smallest and largest RSA modulus, in bits.
pub(crate) const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=4096;
/// Deepest nesting of a JSON text, except for Prefect's masked responses ([`MASKED_DEPTH`]).
pub(crate) const JSON_DEPTH: usize = 32;
/// Clock leeway for the times in tokens, in seconds.
pub(crate) const LEEWAY: u64 = 60;
/// Timeout of one call to the identity provider.
pub(crate) const CALLOUT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest number of logins and sign-outs that wait for the provider in one worker.
pub(crate) const LOGINS_IN_FLIGHT: usize = 128;
/// Largest number of logins that push their parameters to the provider in one worker. They take no
/// places from callbacks and sign-outs.
pub(crate) const PUSHES_IN_FLIGHT: usize = 32;
/// Largest number of requests that wait for one event in one worker.
///
/// These are limited separately: the keys of each issuer, each refresh or client credentials
/// grant, their queues, and an outage of the provider.
pub(crate) const WAITING_REQUESTS: usize = 1024;
/// Largest number of session refreshes under way in one worker.
pub(crate) const REFRESHES_IN_FLIGHT: usize = 64;
/// Largest number of questions about client credentials and opaque tokens under way in one worker.
///
/// It applies separately to credentials that were valid before and to unknown ones.
pub(crate) const GRANTS_IN_FLIGHT: usize = 32;
/// Largest number of answers about client credentials and opaque tokens that one worker remembers.
///
/// It applies separately to granted and to failed ones.
pub(crate) const GRANTS: usize = 1024;
/// Largest `client_id`, in bytes.
pub(crate) const CLIENT_ID: usize = 255;
/// Largest `client_secret`, in bytes. It is sent to the provider in a header.
pub(crate) const CLIENT_SECRET: usize = 1024;
/// Largest opaque token, in bytes. It is kept while the provider is asked.
pub(crate) const OPAQUE_TOKEN: usize = 4 * 1024;
/// How often unknown credentials with the same name, such as a `client_id`, may be tried from one
/// network.
pub(crate) const ATTEMPTS_PER_CLIENT: Rate = Rate { burst: 8, each: Duration::from_secs(4) };
/// How often unknown credentials of any kind may be tried from one network, and how often logins
/// from one network may push their parameters.
pub(crate) const ATTEMPTS_PER_NETWORK: Rate = Rate { burst: 64, each: Duration::from_millis(125) };
/// Largest number of networks, and of pairs of network and `client_id`, whose attempts are
/// counted.
pub(crate) const NETWORKS: usize = 4096;
/// How much work one worker does for passwords that it does not know, in rounds of bcrypt. A check
/// takes `2^cost` rounds.
pub(crate) const PASSWORD_ROUNDS: Rate = Rate { burst: 16_384, each: Duration::from_millis(1) };
/// How much of that work one worker does for one network.
pub(crate) const PASSWORD_ROUNDS_PER_NETWORK: Rate =
    Rate { burst: 8192, each: Duration::from_millis(2) };
/// Largest number of wrong passwords that one worker remembers.
pub(crate) const WRONG_PASSWORDS: usize = 1024;
/// How long a worker repeats the refusal of a wrong password without checking it again.
pub(crate) const WRONG_PASSWORD_MEMORY: Duration = Duration::from_secs(60);
/// Largest duration of a login attempt.
pub(crate) const LOGIN_ATTEMPT: Duration = Duration::from_secs(30 * 60);
/// Largest age of a login that may create a personal token.
pub(crate) const FRESH_LOGIN: Duration = Duration::from_secs(300);
/// Lifetime of the code that a native app redeems for a personal token.
pub(crate) const CODE: Duration = Duration::from_secs(300);
/// Bounds of the cache of verified access tokens in one worker.
pub(crate) const VERIFIED: CacheBounds = CacheBounds { entries: 1024, bytes: 4 * 1024 * 1024 };
/// Bounds of the cache of opened session cookies in one worker.
pub(crate) const OPENED: CacheBounds = CacheBounds { entries: 1024, bytes: 4 * 1024 * 1024 };
/// Largest number of open login attempts of one browser.
pub(crate) const LOGIN_ATTEMPTS: usize = 5;
/// Largest piece of a session cookie, in bytes. A session has at most four pieces.
///
/// Browsers drop cookies above 4096 bytes, name included.
pub(crate) const COOKIE_PIECE: usize = 3800;
/// Largest request body that is read for authorization, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;
/// Largest number of request bodies that one worker reads at a time for one purpose, before it
/// decides.
pub(crate) const BODIES: usize = 256;
/// Largest number of request bodies that one worker reads at a time for one client network.
pub(crate) const BODIES_PER_NETWORK: usize = 16;
/// How long a request body that is read before the decision may take to arrive.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(10);
/// Largest payload of the first frame of a socket, in bytes.
pub(crate) const FIRST_FRAME: usize = 4 * 1024;
/// How long a socket may take to send its first frame. A socket without a place waits for one at
/// most this long, too.
pub(crate) const FIRST_FRAME_WAIT: Duration = Duration::from_secs(5);
/// How long a handshake without a credential may wait for Prefect to accept the upgrade.
pub(crate) const UPGRADE_WAIT: Duration = Duration::from_secs(15);
/// Bytes of ping frames that may pass before the first frame: four of the largest size.
pub(crate) const PINGS: usize = 4 * (125 + 6);
/// Bytes of a socket that are held while its first frame waits for a verdict, earlier ping frames
/// included.
pub(crate) const HELD: usize = FIRST_FRAME + PINGS + 64;
/// Largest number of sockets without a verdict on their first frame, in all workers of an Envoy.
/// Together with [`SOCKETS_OF_PEOPLE_IN_ALL`], it leaves a third of the samples' circuit breaker
/// for sockets, 80, to workers and flow runs.
pub(crate) const PENDING_SOCKETS_IN_ALL: usize = 32;
/// Largest number of sockets without a verdict on their first frame, in one worker. Half of them
/// may be of one client network.
pub(crate) const PENDING_SOCKETS: usize = 32;
/// Largest number of open sockets of people (`Role::is_for_people`), in all workers of an Envoy.
pub(crate) const SOCKETS_OF_PEOPLE_IN_ALL: usize = 24;
/// Largest number of open sockets of one viewer or operator, in all workers of an Envoy.
pub(crate) const SOCKETS_OF_PERSON_IN_ALL: usize = 12;
/// Largest number of open sockets of one principal in one Envoy worker. A flow run opens one or
/// two, a Prefect worker three.
pub(crate) const SOCKETS_OF_PRINCIPAL: usize = 512;
/// Largest number of sockets that wait for one of the [`PENDING_SOCKETS`] places, in one worker.
pub(crate) const QUEUED_SOCKETS: usize = 256;
/// Largest number of sockets that wait for one of the [`PENDING_SOCKETS`] places, for one client
/// network in one worker.
pub(crate) const QUEUED_SOCKETS_PER_NETWORK: usize = 128;
/// The same for a network whose sockets have been silent.
pub(crate) const QUEUED_SOCKETS_PER_SILENT_NETWORK: usize = 16;
/// How long a worker remembers that a network's socket was silent.
pub(crate) const SILENT_NETWORK_MEMORY: Duration = Duration::from_secs(60);
/// Largest number of such networks that a worker remembers.
pub(crate) const SILENT_NETWORKS: usize = 1024;
/// Largest part of a response body of Prefect that is held to be rewritten, in bytes: the UI
/// settings, or the beginning of a page.
pub(crate) const REWRITTEN_BODY: usize = 24 * 1024;
/// Largest response body of Prefect that is masked, in bytes. A longer one is refused, never sent
/// unmasked.
pub(crate) const MASKED_BODY: usize = 1_000_000;
/// Deepest nesting of a response of Prefect that is masked.
pub(crate) const MASKED_DEPTH: usize = 100;
/// Largest message with an event filter, in bytes. It is read from clients that may not see all
/// events.
pub(crate) const EVENT_FILTER: usize = 16 * 1024;
/// Largest return path of a login, in bytes. It is stored in the login cookie.
pub(crate) const RETURN_PATH: usize = 2048;
/// Largest return path that the parameter `state` carries, in bytes. A provider must keep the whole
/// `state`, and some have limits of their own.
pub(crate) const STATE_PATH: usize = 1024;
/// How many log lines one worker writes about requests without a proved principal.
pub(crate) const LINES_ABOUT_STRANGERS: Rate =
    Rate { burst: 1000, each: Duration::from_millis(50) };
/// Largest part of a token or header that a log line shows, in characters.
pub(crate) const LOGGED_TEXT: usize = 120;
