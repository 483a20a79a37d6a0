package function

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
)

func order() event.Event {
	e := event.New()
	e.SetID("1")
	e.SetType("order.created")
	e.SetSource("/shop")
	return e
}

func TestAnEventIsLoggedWithItsData(t *testing.T) {
	var output bytes.Buffer
	log = slog.New(slog.NewJSONHandler(&output, nil))
	e := order()
	if err := e.SetData(event.ApplicationJSON, map[string]int{"total": 30}); err != nil {
		t.Fatal(err)
	}
	if err := onEvent(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	if line := output.String(); !strings.Contains(line, `"msg":"event order.created"`) || !strings.Contains(line, `{"total":30}`) {
		t.Errorf("logged %s", line)
	}
}

func TestAnEventWithoutDataIsRefused(t *testing.T) {
	if err := onEvent(context.Background(), order()); err == nil {
		t.Error("no error")
	}
}
