"""A hub for tests: one service that may do everything, no proxy, no notebooks, data in the folder it runs in."""
import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """Nobody goes through it: the tests ask the hub itself."""

    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


with open(os.environ["REMINT_HUB_TOKEN_FILE"], encoding="utf-8") as file:
    token = file.read()

c = get_config()  # noqa: F821
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_bind_url = os.environ["REMINT_HUB"]
c.JupyterHub.bind_url = os.environ["REMINT_HUB"]
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie-secret"
c.JupyterHub.services = [{"name": "remint", "api_token": token, "admin": True}]
c.JupyterHub.load_roles = [
    {"name": "remint", "services": ["remint"], "scopes": ["admin:users", "tokens", "read:hub", "list:users", "servers"]},
    # What a token may have at most is what its user has.
    {"name": "user", "scopes": ["self", "read:hub"]},
]
