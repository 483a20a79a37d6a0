import unittest

import functions_framework

client = functions_framework.create_app("hello", "main.py").test_client()


class Hello(unittest.TestCase):
    def test_greets_the_world(self):
        self.assertEqual(client.get("/").text, "Hello, world!\n")

    def test_greets_by_name(self):
        self.assertEqual(client.get("/?name=Ada").text, "Hello, Ada!\n")
