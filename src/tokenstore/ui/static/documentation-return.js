// Hands the login provider's answer to the page of ours that waits for it, and forgets it.
"use strict";

new BroadcastChannel("tokenstore-api-login").postMessage(location.search);
history.replaceState(null, "", location.pathname);
window.close();
