import contextlib
import io
import json
import unittest

import functions_framework

client = functions_framework.create_app("on_event", "main.py", "cloudevent").test_client()
event = {"specversion": "1.0", "id": "1", "type": "order.created", "source": "/shop", "subject": "7"}


def send(event):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        response = client.post("/", json=event, headers={"Content-Type": "application/cloudevents+json"})
    return response, output.getvalue()


class OnEvent(unittest.TestCase):
    def test_an_event_is_logged_with_its_data(self):
        response, output = send(event | {"data": {"total": 30}})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(
            json.loads(output),
            {
                "level": "info",
                "message": "event order.created",
                "id": "1",
                "source": "/shop",
                "subject": "7",
                "data": {"total": 30},
            },
        )

    def test_an_event_without_data_is_refused(self):
        self.assertEqual(send(event)[0].status_code, 500)
