// One OpenID provider made of the npm package oidc-provider, on a free port of loopback, for the tests in tests/interop.
//
// Standard input: one line of JSON that says what it is, {"clients": […], "resources": {"https://…": "jwt"}}; then a
// line for each question. Standard output: {"issuer": "http://127.0.0.1:…"}, then as the answer to each question the calls that its
// token endpoint answered so far. It ends with its standard input, and in any case after LIFE_SECONDS.
//
// Sign-in, consent and logout pages are the package's own: whoever gives a name is that person.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import Provider, { errors } from 'oidc-provider';

const LIFE_SECONDS = 900;

function configuration({ clients, resources }) {
  return {
    clients,
    jwks: { keys: signingKeys() },
    cookies: { keys: [crypto.randomUUID()] },
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: { profile: ['name'], email: ['email', 'email_verified'] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => claimsOf(sub) }),
    // Its own dispatcher would refuse to call loopback, where the store is.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600, IdToken: 3600 },
    features: {
      devInteractions: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
      // By name and format of their access tokens: jwt (RFC 9068) or opaque, as those for no resource are.
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => {
          const accessTokenFormat = resources[resource];
          if (!accessTokenFormat) throw new errors.InvalidTarget();
          return { scope: 'openid', audience: resource, accessTokenFormat, jwt: { sign: { alg: 'RS256' } } };
        },
      },
    },
  };
}

function signingKeys() {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return [rsa, ec].map(({ privateKey }, number) => ({
    ...privateKey.export({ format: 'jwk' }), kid: `key-${number}`, use: 'sig',
  }));
}

function claimsOf(sub) {
  return { sub, name: `${sub} by name`, email: `${sub}@example.org`, email_verified: true };
}

function record(calls) {
  return async (ctx, next) => {
    await next();
    if (ctx.oidc?.route !== 'token') return;
    const { error, refresh_token } = ctx.body ?? {};
    calls.push({ grant_type: ctx.oidc.params?.grant_type, status: ctx.status, error, refresh_token });
  };
}

// What the package has to say goes to standard error; standard output is for answers.
console.info = console.error;
setTimeout(() => process.exit(1), LIFE_SECONDS * 1000).unref();
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = JSON.parse((await lines.next()).value);
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
const calls = [];
const provider = new Provider(issuer, configuration(told));
provider.use(record(calls));
for (const trouble of ['server_error', 'backchannel.error']) {
  provider.on(trouble, (_, error) => console.error(trouble, error));
}
server.on('request', provider.callback());
console.log(JSON.stringify({ issuer }));
for await (const _ of lines) console.log(JSON.stringify(calls));
process.exit(0);
