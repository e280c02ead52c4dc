# Python's httpx over HTTP/2: small, large, uploads with and without a length, many at once, and one that is given up.
import asyncio
import hashlib
import json
import sys

import httpx

URL = sys.argv[1]
BODY = bytes(range(256)) * 2000


async def parts():
    for begin in range(0, len(BODY), 7000):
        yield BODY[begin : begin + 7000]


async def main():
    found = {}
    async with httpx.AsyncClient(http2=True, verify=False, timeout=30) as client:
        answer = await client.get(f'{URL}/small')
        found['small'] = [answer.status_code, answer.http_version, answer.text]
        found['large'] = hashlib.sha1((await client.get(f'{URL}/large')).content).hexdigest()
        found['upload'] = (await client.post(f'{URL}/digest', content=BODY)).text
        found['chunked'] = (await client.post(f'{URL}/digest', content=parts())).text
        many = await asyncio.gather(*(client.get(f'{URL}/echo?{n}') for n in range(50)))
        found['many'] = [each.text for each in many] == [f'/echo?{n}' for n in range(50)]
        try:
            await client.get(f'{URL}/endless', timeout=1)
            found['given up'] = False
        except httpx.TimeoutException:
            found['given up'] = (await client.get(f'{URL}/small')).text
    print(json.dumps(found))


asyncio.run(main())
