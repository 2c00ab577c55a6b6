package control

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
)

// HandlerFor is what a server of that user answers with.
func HandlerFor(fleet Fleet, uid int) http.Handler {
	return newServer(Config{Fleet: fleet}, access{users: []int{uid}, group: nobody}).handler()
}

// Ask has a peer ask, and returns the status code.
func Ask(h http.Handler, peer Peer, method, path, body string) int {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), connKey{}, peer)))
	return w.Code
}
