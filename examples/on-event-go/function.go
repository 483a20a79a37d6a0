// Package function is called with CloudEvents and logs each.
package function

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
	"github.com/cloudevents/sdk-go/v2/event"
)

var log = slog.New(slog.NewJSONHandler(os.Stdout, nil))

func init() {
	functions.CloudEvent("onEvent", onEvent)
}

// One JSON line per event; one that fails is answered with 500, and delivered again.
func onEvent(_ context.Context, e event.Event) error {
	if len(e.Data()) == 0 {
		return fmt.Errorf("event %s has no data", e.ID())
	}
	log.Info("event "+e.Type(), "id", e.ID(), "source", e.Source(), "subject", e.Subject(), "data", json.RawMessage(e.Data()))
	return nil
}
