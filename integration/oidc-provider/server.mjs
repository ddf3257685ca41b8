// A certified OpenID provider (npm oidc-provider) for the end-to-end tests: everybody may log in with
// any password, and everybody is an operator. Refresh tokens rotate, and a second use of one ends its
// grant. Settings come as JSON in OIDC_PROVIDER. Each answer of the token endpoint is told on standard
// output as one line of JSON, without any token.
//
// With `as_specified` it is as it comes: a refresh token only for the scope offline_access, to which the
// person must agree (OpenID Connect Core §11), and what a scope beside openid stands for is told by
// userinfo alone (§5.4). Without, it is as generous as most others are.
//
// With `pushed` it takes the parameters of a login from the client alone (RFC 9126).
//
// `resources` are APIs with the format of their access tokens, `jwt` or `opaque`. A client may get them
// for itself. The scope of all of them is `work`.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const {
  issuer, port, clients, as_specified: strict, resources = {}, pushed = false,
} = JSON.parse(process.env.OIDC_PROVIDER);
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...client,
  })),
  jwks: { keys: [{ ...signing.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'signing' }] },
  cookies: { keys: ['only for the tests'] },
  claims: {
    openid: ['sub', 'groups', 'preferred_username'],
    email: ['email', 'email_verified'],
    staff: ['staff_roles'],
  },
  conformIdTokenClaims: strict,
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: pushed, requirePushedAuthorizationRequests: pushed },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: Object.keys(resources).length > 0,
      // Tokens of people are for no API unless one is asked for.
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => ({
        scope: 'work',
        audience: resource,
        accessTokenFormat: resources[resource],
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: id,
      email: `${id}@example.com`,
      email_verified: true,
      groups: ['prefect-operator'],
      // Nobody is but those who are called so.
      staff_roles: id.startsWith('staff') ? ['prefect-operator'] : [],
    }),
  }),
  // Without the guard against inside addresses: everything of a test is on loopback.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  ...(strict ? {} : { issueRefreshToken: () => true }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
});

// How this very request has proved whose it is, not what the client is registered for.
const authentication = (ctx) => {
  if (/^basic /i.test(ctx.get('authorization'))) return 'client_secret_basic';
  if (ctx.oidc.body?.client_assertion !== undefined) return 'private_key_jwt';
  return ctx.oidc.body?.client_secret === undefined ? 'none' : 'client_secret_post';
};
const tell = (ctx, more) => console.log(JSON.stringify({
  grant: ctx.oidc.params?.grant_type, authentication: authentication(ctx), ...more,
}));
provider.on('grant.success', (ctx) => tell(ctx, { rotated: ctx.oidc.entities.RotatedRefreshToken !== undefined }));
provider.on('pushed_authorization_request.error', (ctx, { error, error_detail: detail }) => tell(ctx, { error, detail }));
provider.on('grant.error', (ctx, { error, error_description: detail }) => tell(ctx, { error, detail }));
provider.on('backchannel.error', (_, error) => console.log(`back-channel logout: ${error} ${error.cause ?? ''}`));
provider.on('backchannel.success', () => console.log('back-channel logout: told'));
provider.on('server_error', (_, error) => console.log(error));

provider.listen(port, '127.0.0.1', () => console.log('ready'));
for (const sign of ['SIGTERM', 'SIGINT']) process.once(sign, () => process.exit(0));
