"""The forms at the door: signing in and signing up."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from apps.core.models import User


class SignInForm(AuthenticationForm):
    """User name and password."""

    username = UsernameField(
        label=_("User name"), widget=forms.TextInput(attrs={"autofocus": True})
    )
    error_messages = {
        "invalid_login": _("This user name and password do not fit together."),
        "inactive": _("This account is closed."),
    }


class SignUpForm(forms.ModelForm):  # type: ignore[type-arg]
    """A fan's new account. `website` is a trap: people do not see it, programs fill it in."""

    username = forms.CharField(
        label=_("User name"),
        max_length=40,
        validators=[
            RegexValidator(r"^[a-zA-Z0-9_.-]{3,40}\Z", _("3 to 40 letters, digits, _ . or -"))
        ],
        help_text=_("3 to 40 letters, digits, _ . or -"),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )
    first_name = forms.CharField(
        label=_("Name"),
        max_length=60,
        required=False,
        help_text=_("How others see you. Leave it empty to be seen by your user name."),
        widget=forms.TextInput(attrs={"autocomplete": "nickname"}),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=256,
        help_text=_("At least 8 characters, and nothing that is easy to guess."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    website = forms.CharField(
        label=_("Leave this empty"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )

    class Meta:
        model = User
        fields = ("username", "first_name")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        # "Amira" and "amira" would be taken for one another.
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError(_("Somebody has this user name already."))
        return name

    def clean_first_name(self) -> str:
        name = " ".join(str(self.cleaned_data["first_name"]).split())
        if not name.isprintable():
            raise ValidationError(_("This name has characters that nobody can see."))
        return name

    def clean_website(self) -> str:
        if self.cleaned_data["website"]:
            raise ValidationError(_("This looks like a program filling in forms."))
        return ""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        password = self.cleaned_data.get("password")
        if password:
            try:
                validate_password(password, self.instance)
            except ValidationError as error:
                self.add_error("password", error)

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=False)
        user.set_password(self.cleaned_data["password"])
        if commit:
            user.save()
        return user
