"""Train the text encoder and the user tower; needs torch (extra [train])."""
