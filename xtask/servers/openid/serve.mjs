// An OpenID provider with three people, for the tests of logins: a form asks for name and password, and a public client gets
// its tokens by a code with PKCE on a loopback address, or by a device code.
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const [address, passwordFile] = process.argv.slice(2);
const issuer = `http://${address}`;
const password = readFileSync(passwordFile, 'utf8').trim();
const people = {
  alice: { groups: ['oncall', 'everybody'] },
  bob: { groups: ['security', 'everybody'] },
  carol: { groups: ['everybody'] },
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'remint',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      require_auth_time: true,
    },
    {
      client_id: 'another',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/callback'],
      require_auth_time: true,
    },
  ],
  features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true } },
  acrValues: ['urn:remint:test:strong'],
  claims: { openid: ['sub', 'acr', 'amr'], groups: ['groups'] },
  scopes: ['openid', 'groups'],
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  ttl: { IdToken: 3600, Interaction: 600, Session: 3600, Grant: 3600, AccessToken: 600 },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
});

provider.use(async (context, next) => {
  if (!context.path.startsWith('/login/')) return next();
  const { prompt, params } = await provider.interactionDetails(context.req, context.res);
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: (await details(context)).session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const result = { consent: { grantId: await grant.save() } };
    return provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: true });
  }
  if (context.method === 'POST') {
    const form = new URLSearchParams(await body(context.req));
    const name = form.get('name');
    if (Object.hasOwn(people, name) && form.get('password') === password) {
      const login = { accountId: name, acr: 'urn:remint:test:strong', amr: ['pwd', 'mfa'], remember: false };
      return provider.interactionFinished(context.req, context.res, { login }, { mergeWithLastSubmission: false });
    }
    context.status = 403;
  }
  context.type = 'html';
  context.body = `<form method="post" action="${context.path}"><input name="name"><input name="password" type="password"></form>`;
});

const details = (context) => provider.interactionDetails(context.req, context.res);

async function body(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 4096) throw new Error('too long');
  }
  return text;
}

const [host, port] = address.split(':');
provider.listen(Number(port), host);
