import unittest

from app import app


class Hello(unittest.TestCase):
    def test_greets_the_world(self):
        self.assertEqual(app.test_client().get("/").text, "Hello, world!\n")

    def test_greets_by_name(self):
        self.assertEqual(app.test_client().get("/?name=Ada").text, "Hello, Ada!\n")

    def test_knows_no_other_path(self):
        self.assertEqual(app.test_client().get("/other").status_code, 404)
