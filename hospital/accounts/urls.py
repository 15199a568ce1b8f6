"""Addresses of signing in and out, and of one's own account.

Those called `account_…` and `mfa_…` are django-allauth's; of its others there are none here.
"""

from allauth.account.views import login, reauthenticate
from allauth.mfa.base.views import authenticate
from allauth.mfa.base.views import reauthenticate as reauthenticate_by_code
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path

from hospital.accounts.pages import account as own
from hospital.accounts.pages import emergency
from hospital.accounts.pages.views import home, language, sign_out

urlpatterns = [
    path("", home, name="home"),
    path("login/", login, name="login"),
    path("login/", login, name="account_login"),
    path("login/code/", authenticate, name="mfa_authenticate"),
    path("login/passkey/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("login/again/", reauthenticate, name="account_reauthenticate"),
    path("login/again/code/", reauthenticate_by_code, name="mfa_reauthenticate"),
    path(
        "login/again/passkey/", passkeys.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"
    ),
    path("logout/", sign_out, name="logout"),
    path("language/", language, name="language"),
    path("account/", own.account, name="account"),
    path("account/", own.account, name="mfa_index"),
    path("account/", own.account, name="mfa_list_webauthn"),
    path("emergency/", emergency.overview, name="emergency"),
    path("emergency/<uuid:pk>/end/", emergency.end, name="emergency-end"),
    path("account/passkeys/ask/", own.ask_passkey, name="passkey-options"),
    path("account/password/", own.password, name="password"),
    path("account/sessions/end/", own.end_sessions, name="sessions-end"),
    path("account/sessions/<int:pk>/end/", own.end_session, name="session-end"),
    path("account/app/", totp.activate_totp, name="mfa_activate_totp"),
    path("account/app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("account/codes/", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("account/codes/new/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("account/codes/file/", codes.download_recovery_codes, name="mfa_download_recovery_codes"),
    path("account/passkeys/add/", passkeys.add_webauthn, name="mfa_add_webauthn"),
    path("account/passkeys/<int:pk>/", passkeys.edit_webauthn, name="mfa_edit_webauthn"),
    path("account/passkeys/<int:pk>/remove/", passkeys.remove_webauthn, name="mfa_remove_webauthn"),
]
