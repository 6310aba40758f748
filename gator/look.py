"""The admin's look, as Unfold wants it: name, icon, pages of our own, colours."""

from django.templatetags.static import static

UNFOLD = {
    "SITE_TITLE": "Gator",
    "SITE_HEADER": "Gator",
    "SITE_SUBHEADER": "Studio",
    "SITE_URL": "/",
    "SITE_ICON": lambda request: static("img/gator.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/gator.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "STYLES": [lambda request: static("css/studio.css")],
    "SCRIPTS": [
        lambda request: static("js/zone.js"),
        lambda request: static("js/files.js"),
    ],
    "DASHBOARD_CALLBACK": "gator.today.today",
    "GLOBAL_CALLBACK": "apps.personas.admin.what_is_stopped",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "gator.navigation.sidebar",
    },
    "BORDER_RADIUS": "8px",
    "COLORS": {
        # Greys with a breath of green, and the green of static/css/tokens.css.
        "base": {
            "50": "oklch(97.6% .004 145)",
            "100": "oklch(95.2% .006 145)",
            "200": "oklch(90.5% .009 150)",
            "300": "oklch(84% .012 152)",
            "400": "oklch(70% .015 155)",
            "500": "oklch(52% .018 158)",
            "600": "oklch(44% .018 158)",
            "700": "oklch(37% .018 160)",
            "800": "oklch(29.5% .016 160)",
            "900": "oklch(22.5% .013 160)",
            "950": "oklch(18% .01 160)",
        },
        "primary": {
            "50": "oklch(97.5% .018 160)",
            "100": "oklch(94.5% .04 160)",
            "200": "oklch(89% .075 160)",
            "300": "oklch(82% .11 160)",
            "400": "oklch(75% .13 160)",
            "500": "oklch(74% .125 160)",
            "600": "oklch(48% .1 160)",
            "700": "oklch(42% .09 160)",
            "800": "oklch(36% .07 160)",
            "900": "oklch(30% .055 160)",
            "950": "oklch(22% .04 160)",
        },
    },
}
