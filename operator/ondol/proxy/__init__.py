"""What runs inside the proxy pod; mounted there flat, see `gunicorn_conf`."""
