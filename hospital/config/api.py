"""The API's addresses, put together from the apps."""

urlpatterns: list = []
