// An echo service: POST /echo-name with {"name": "Ada"} answers "Hello, Ada".
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const maxBodyBytes = 64 * 1024

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func echo(greeting string) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		var body struct {
			Name string `json:"name"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(response, request.Body, maxBodyBytes)).Decode(&body); err != nil {
			http.Error(response, "The body is not valid JSON", http.StatusBadRequest)
			return
		}
		name := strings.TrimSpace(body.Name)
		if name == "" {
			http.Error(response, "name must not be empty", http.StatusBadRequest)
			return
		}
		// The traceparent ties the line to the platform's trace of the call.
		slog.Info("POST "+request.URL.Path, "callId", request.Header.Get("X-Call-Id"), "traceparent", request.Header.Get("Traceparent"))
		fmt.Fprintf(response, "%s, %s", greeting, name)
	}
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	handler := http.NewServeMux()
	handler.HandleFunc("GET /_/health", func(response http.ResponseWriter, _ *http.Request) { fmt.Fprintln(response, "ok") })
	// As /function/echo-name-go it is called at its root.
	handler.HandleFunc("POST /{$}", echo(environment("GREETING", "Hello")))
	handler.HandleFunc("POST /echo-name", echo(environment("GREETING", "Hello")))
	server := &http.Server{Addr: ":" + environment("PORT", "8080"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}

	stop, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	go func() {
		<-stop.Done()
		// Requests that are being answered are finished.
		_ = server.Shutdown(context.Background())
	}()
	slog.Info("listening", "address", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}
