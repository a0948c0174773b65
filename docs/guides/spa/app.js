// A single-page application: a public client with PKCE, on the provider's sign-in page and back.
const { UserManager, WebStorageStateStore } = oidc

const issuer = 'http://localhost:8080'
const self = location.origin + '/'

const manager = new UserManager({
  authority: issuer,
  client_id: 'CLIENT_ID', // of idp clients add; there is no secret in a browser
  redirect_uri: self,
  post_logout_redirect_uri: self,
  scope: 'openid profile offline_access',
  loadUserInfo: true, // the ID token has nothing about the person
  automaticSilentRenew: true, // with the refresh token, a minute before the access token ends
  revokeTokensOnSignout: true, // they would outlive it
  userStore: new WebStorageStateStore({ store: sessionStorage }), // gone with the tab
})

const element = (id) => document.getElementById(id)

function show(user) {
  const here = Boolean(user && !user.expired)
  element('who').textContent = here ? `Buongiorno, ${user.profile.given_name}` : 'Nessuno ha fatto l’accesso.'
  element('enter').hidden = here
  element('renew').hidden = element('leave').hidden = !here
}

// The answer is in the address once: it is used, and taken out of the history.
async function arrive() {
  const answer = new URLSearchParams(location.search)
  if (!answer.has('state')) return manager.getUser()
  const address = location.href
  history.replaceState(null, '', self)
  if (!answer.has('code') && !answer.has('error')) return void await manager.signoutCallback(address)
  if (answer.get('iss') !== issuer) throw new Error('this answer is from somebody else') // the library does not look
  return manager.signinCallback(address)
}

// access_denied is the citizen who said no; login_required, to prompt=none, nobody who is signed in.
const tell = (error) => { element('problem').textContent = error.error ?? error.message }

element('enter').onclick = () => manager.signinRedirect().catch(tell)
element('renew').onclick = () => manager.signinSilent().then(show).catch(tell)
element('leave').onclick = () => manager.signoutRedirect().catch(tell)
manager.events.addUserLoaded(show)
manager.events.addUserUnloaded(() => show(null))
manager.events.addSilentRenewError(tell)

await arrive().then(show, (error) => { show(null); tell(error) })
