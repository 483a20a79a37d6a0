package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHello(t *testing.T) {
	for _, c := range []struct {
		path string
		code int
		body string
	}{
		{"/", http.StatusOK, "Hello, world!\n"},
		{"/?name=Ada", http.StatusOK, "Hello, Ada!\n"},
		{"/other", http.StatusNotFound, "404 page not found\n"},
	} {
		w := httptest.NewRecorder()
		handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("GET %s = %d %q, want %d %q", c.path, w.Code, w.Body, c.code, c.body)
		}
	}
}
