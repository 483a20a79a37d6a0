import json

import functions_framework


# One JSON line per event; one that fails is answered with 500, and delivered again.
@functions_framework.cloud_event
def on_event(event):
    if event.data is None:
        raise ValueError(f"event {event['id']} has no data")
    line = {"level": "info", "message": f"event {event['type']}", "data": event.data}
    print(json.dumps(line | {name: event.get(name) for name in ("id", "source", "subject")}))
