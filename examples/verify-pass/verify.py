# Whose pass is this? Needs PyJWT and cryptography: pip install -r requirements.txt
import sys

import jwt


def verify(base_url, campaign, text):
    key = jwt.PyJWKClient(base_url + "/.well-known/jwks.json").get_signing_key_from_jwt(text).key
    claims = jwt.decode(text, key, algorithms=["EdDSA"], issuer="onrush", audience=campaign,
                        options={"require": ["iss", "aud", "sub", "exp"]})
    return claims["sub"]


if __name__ == "__main__":
    try:
        print(verify(*sys.argv[1:]))
    except jwt.PyJWTError as why:
        sys.exit(f"refused: {why}")
