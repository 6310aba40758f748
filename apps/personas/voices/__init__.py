"""Ways of writing for a persona, one file each; settings.VOICES names them."""
