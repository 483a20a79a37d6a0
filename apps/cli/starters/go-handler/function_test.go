package function

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHello(t *testing.T) {
	for path, want := range map[string]string{"/": "Hello, world!\n", "/?name=Ada": "Hello, Ada!\n"} {
		w := httptest.NewRecorder()
		hello(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Body.String(); got != want {
			t.Errorf("GET %s = %q, want %q", path, got, want)
		}
	}
}
