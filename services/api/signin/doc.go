// Package signin has people sign in with OpenID Connect at a provider of their own, and keeps who they are in a sealed cookie. It must never
// decide what a person sees: it says who somebody is and which scopes follow, and the api does the rest.
//
// What is not obvious:
//
//   - github.com/coreos/go-oidc is the client: kept up, and small. Nothing else of Outcry imports it.
//   - The provider is asked for its addresses when somebody first signs in, so that Outcry starts without it.
//   - Authorization code with PKCE, state and nonce; what has to be remembered meanwhile is sealed into a cookie of a few minutes.
//   - A session is a sealed cookie and stored nowhere: its seal follows from the client's secret, so that all processes of the api know it and a new
//     secret ends all sessions. It ends by itself after [SessionTime]; what a person may is worked out anew for each request, so a changed
//     configuration holds at once.
//   - An e-mail address counts only where the provider says that it was verified.
package signin
