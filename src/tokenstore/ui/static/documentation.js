// Shows the API document with Swagger UI, and takes the login provider's answer from the window that came back.
"use strict";

const place = document.getElementById("document");
const { document: url, redirect, client, scopes } = place.dataset;

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// The session's cookie is sent by itself and cannot be written by a page, so nobody is asked for it.
const WithoutCookie = () => ({
  statePlugins: {
    auth: {
      wrapSelectors: {
        definitionsToAuthorize:
          (original) =>
          (...given) =>
            original(...given).filter((definition) => !definition.has("session")),
      },
    },
  },
});

keepAccessible(place);

const ui = SwaggerUIBundle({
  url,
  domNode: place,
  plugins: [WithoutCookie, Accessible],
  layout: "PageLayout",
  syntaxHighlight: { theme: "tomorrow-night" },
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  oauth2RedirectUrl: redirect,
  // Nothing is asked of another site about the document, and no token is kept beyond this page.
  validatorUrl: null,
  persistAuthorization: false,
});

if (client) {
  ui.initOAuth({ clientId: client, scopes, usePkceWithAuthorizationCodeGrant: true });
}

// The window is of another browsing context group (Cross-Origin-Opener-Policy) and has no opener; both are of one
// origin and meet in this channel. What Swagger UI waits for lies in window.swaggerUIRedirectOauth2.
new BroadcastChannel("tokenstore-api-login").onmessage = ({ data }) => {
  const waiting = window.swaggerUIRedirectOauth2;
  const answer = new URLSearchParams(data);
  if (!waiting || waiting.auth.code || answer.get("state") !== waiting.state) {
    return;
  }
  delete window.swaggerUIRedirectOauth2;
  const code = answer.get("code");
  if (!code) {
    const message = `The login provider said ${answer.get("error") || "nothing"}.`;
    waiting.errCb({ authId: waiting.auth.name, source: "auth", level: "error", message });
    return;
  }
  delete waiting.state;
  waiting.auth.code = code;
  waiting.callback({ auth: waiting.auth, redirectUrl: waiting.redirectUrl });
};
