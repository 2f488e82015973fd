"""The dashboard: pages for teams and for who runs the gateway, below `/dashboard`."""
