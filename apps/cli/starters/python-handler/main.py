import os

import functions_framework


@functions_framework.http
def hello(request):
    name = request.args.get("name") or "world"
    print(f"greeting {name}")
    return f"{os.environ.get('GREETING', 'Hello')}, {name}!\n", {"Content-Type": "text/plain; charset=utf-8"}
