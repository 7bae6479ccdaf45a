"""JSON web tokens: where they are found in a request, what they say, and whether their signature holds.

A token comes in as bytes of a request and goes out as claims, or as the reason why it is refused, in the words of Envoy
(envoy source: common/jwt). The rule that holds the room together: nothing of a token is believed before its signature
has been verified by a key of its provider and of the very kind that its algorithm asks for, and whatever cannot be read
or verified is refused. Neither tokens nor keys are put into a text.

    reasons.py     why a token is refused, in Envoy's words and with its numbers
    encoding.py    base64url and JSON as strictly as Envoy reads them
    token.py       the three parts of a token
    locations.py   where tokens are looked for, and how they are taken out of a request
    keys.py        key sets, and which key a token is verified with
    _jose.py       the JOSE library, imported when the first key is read
    provider.py    one provider: its keys, fetched or given, and what it asks of a token
"""
