// A certified OpenID provider with two people and one client, for tests: node server.mjs PORT REDIRECT_URI
import Provider from 'oidc-provider';

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = {
  ama: { email: 'ama.real@example.com', email_verified: true, given_name: 'Ama', family_name: 'Mensah' },
  kofi: { email: 'kofi.real@example.com', email_verified: false, given_name: 'Kofi', family_name: 'Boateng' },
};
const provider = new Provider(issuer, {
  clients: [{ client_id: 'kelmah', client_secret: 'a secret of tests only', redirect_uris: [redirectUri] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: async (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
