package control

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
)

// HandlerFor is what a server of that user answers with.
func HandlerFor(fleet Fleet, uid int) http.Handler {
	return (&Server{cfg: Config{Fleet: fleet}, uid: uid}).handler()
}

// Ask has a peer ask, and returns the status code.
func Ask(h http.Handler, peer Peer, method, path, body string) int {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, peer)))
	return w.Code
}
