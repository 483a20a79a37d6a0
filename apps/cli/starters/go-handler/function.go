// Package function holds a function for the Functions Framework.
package function

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() {
	functions.HTTP("hello", hello)
}

func hello(w http.ResponseWriter, r *http.Request) {
	name := cmp.Or(r.URL.Query().Get("name"), "world")
	log.Printf("greeting %s", name)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s, %s!\n", cmp.Or(os.Getenv("GREETING"), "Hello"), name)
}
