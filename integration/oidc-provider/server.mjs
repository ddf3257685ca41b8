// A certified OpenID provider (npm oidc-provider) for the end-to-end tests: everybody may log in with
// any password, and everybody is an operator. Refresh tokens rotate, and a second use of one ends its
// grant. Settings come as JSON in OIDC_PROVIDER.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const { issuer, port, clients } = JSON.parse(process.env.OIDC_PROVIDER);
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...client,
  })),
  jwks: { keys: [{ ...signing.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'signing' }] },
  cookies: { keys: ['only for the tests'] },
  claims: { openid: ['sub', 'groups', 'preferred_username'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: id,
      email: `${id}@example.com`,
      email_verified: true,
      groups: ['prefect-operator'],
    }),
  }),
  // Without the guard against inside addresses: everything of a test is on loopback.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  issueRefreshToken: () => true,
  pkce: { required: () => true },
  rotateRefreshToken: true,
});

provider.on('backchannel.error', (_, error) => console.log(`back-channel logout: ${error} ${error.cause ?? ''}`));
provider.on('backchannel.success', () => console.log('back-channel logout: told'));
provider.on('server_error', (_, error) => console.log(error));

provider.listen(port, '127.0.0.1', () => console.log('ready'));
for (const sign of ['SIGTERM', 'SIGINT']) process.once(sign, () => process.exit(0));
