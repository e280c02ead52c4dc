"""Cases of RFC 9113, 7541, 8441 and 9218 against a server at a port, with frames of hyperframe and fields of hpack.

Each case is a name, what is sent after the preface and SETTINGS, and what must come of it:

    200                 the status of the response on the last stream, which is whole
    alive               nothing: the connection answers PING, no stream was reset
    rst CODE            a stream is reset
    goaway CODE         the connection ends; `closed` without a code: it ends, GOAWAY or not
    a|b                 either

Prints a JSON line for each: name, expected, seen.
"""

import concurrent.futures
import json
import socket
import struct
import sys

from hpack import Encoder
from hpack.hpack import encode_integer
from hyperframe.frame import Frame

PORT = int(sys.argv[1])
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
CODES = {0: 'NO_ERROR', 1: 'PROTOCOL_ERROR', 2: 'INTERNAL_ERROR', 3: 'FLOW_CONTROL_ERROR', 5: 'STREAM_CLOSED',
         6: 'FRAME_SIZE_ERROR', 7: 'REFUSED_STREAM', 8: 'CANCEL', 9: 'COMPRESSION_ERROR', 11: 'ENHANCE_YOUR_CALM'}
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32


def frame(kind, flags=0, stream=0, payload=b'', length=None):
    size = len(payload) if length is None else length
    return struct.pack('>I', size)[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def settings(*pairs, **more):
    return frame(SETTINGS, payload=b''.join(struct.pack('>HI', *pair) for pair in pairs), **more)


def block(fields):
    return Encoder().encode(fields, huffman=False)


GET = [(':method', 'GET'), (':scheme', 'http'), (':path', '/'), (':authority', 'localhost')]
POST = [(':method', 'POST'), (':scheme', 'http'), (':path', '/'), (':authority', 'localhost')]


def headers(fields=GET, stream=1, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields))


def get(*more, stream=1):
    return headers(GET + list(more), stream)


def post(*more, stream=1):
    return headers(POST + list(more), stream, END_HEADERS)


def without(name):
    return [field for field in GET if field[0] != name]


def data(payload=b'', stream=1, flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def literal(name, value):
    return b'\x00' + encode_integer(len(name), 7) + name + encode_integer(len(value), 7) + value


def raw_get(extra):
    return frame(HEADERS, END_STREAM | END_HEADERS, 1, block(GET) + extra)


CASES = []


def case(name, sent, expected, start=PREFACE + settings()):
    CASES.append((name, start + sent, expected))


# -- the preface (9113 section 3.4)
case('3.4 preface and SETTINGS', b'', 'alive')
case('3.4 a request right behind the preface', get(), '200')
case('3.4 a preface that is none', b'', 'closed', start=b'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')
case('3.4 no SETTINGS but HEADERS', get(), 'goaway PROTOCOL_ERROR', start=PREFACE)
case('3.4 no SETTINGS but PING', frame(PING, payload=bytes(8)), 'goaway PROTOCOL_ERROR', start=PREFACE)
case('3.4 no SETTINGS but their ACK', frame(SETTINGS, ACK), 'goaway PROTOCOL_ERROR', start=PREFACE)
case('3.4 no SETTINGS but DATA', data(b'x'), 'goaway PROTOCOL_ERROR', start=PREFACE)
case('3.4 no SETTINGS but WINDOW_UPDATE', frame(WINDOW, payload=b'\0\0\0\1'), 'goaway PROTOCOL_ERROR', start=PREFACE)

# -- frames (section 4)
case('4.1 an unknown type is ignored', frame(0xfa, 0, 0, b'any') + get(), '200')
case('4.1 an unknown type on a stream is ignored', get() + frame(0xfa, 255, 1, b'any'), '200')
case('4.1 unknown flags are ignored', frame(PING, 0xfe & ~ACK, 0, bytes(8)), 'alive')
case('4.1 the reserved bit is ignored', frame(PING, 0, 2 ** 31, bytes(8)), 'alive')
case('4.2 a frame of the largest size', post() + data(bytes(16384)), '200')
case('4.2 DATA beyond the largest size', post() + data(bytes(16385)), 'goaway FRAME_SIZE_ERROR')
case('4.2 HEADERS beyond the largest size', frame(HEADERS, 5, 1, bytes(16385)), 'goaway FRAME_SIZE_ERROR')
case('4.2 an unknown type beyond the largest size', frame(0xfa, 0, 0, bytes(16385)), 'goaway FRAME_SIZE_ERROR')
case('4.3 a block that does not decode', frame(HEADERS, 5, 1, b'\x80'), 'goaway COMPRESSION_ERROR')
case('4.3 a block that ends in the middle', frame(HEADERS, 5, 1, block(GET) + b'\x40'), 'goaway COMPRESSION_ERROR')
case('4.3 PRIORITY in the middle of a block', frame(HEADERS, 1, 1, block(GET)) + frame(PRIORITY, 0, 1, bytes(5)), 'goaway PROTOCOL_ERROR')
case('4.3 HEADERS of another stream in the middle', frame(HEADERS, 1, 1, block(GET)) + get(stream=3), 'goaway PROTOCOL_ERROR')
case('4.3 an unknown type in the middle of a block', frame(HEADERS, 1, 1, block(GET)) + frame(0xfa), 'goaway PROTOCOL_ERROR')
case('4.3 DATA in the middle of a block', frame(HEADERS, 0, 1, block(POST)) + data(), 'goaway PROTOCOL_ERROR')
case('4.3 CONTINUATION of another stream', frame(HEADERS, 1, 1, block(GET)) + frame(CONTINUATION, 4, 3), 'goaway PROTOCOL_ERROR')

# -- the states of a stream (section 5.1)
case('5.1 DATA on an idle stream', data(b'x'), 'goaway PROTOCOL_ERROR')
case('5.1 RST_STREAM on an idle stream', frame(RST, 0, 1, bytes(4)), 'goaway PROTOCOL_ERROR')
case('5.1 WINDOW_UPDATE on an idle stream', frame(WINDOW, 0, 1, b'\0\0\0\1'), 'goaway PROTOCOL_ERROR')
case('5.1 CONTINUATION on an idle stream', frame(CONTINUATION, 4, 1, block(GET)), 'goaway PROTOCOL_ERROR')
case('5.1 PRIORITY on an idle stream', frame(PRIORITY, 0, 1, bytes(5)) + get(), '200')
case('5.1 DATA on a half-closed stream', headers(GET + [('x-wait', '1')]) + data(b'x'), 'rst STREAM_CLOSED')
case('5.1 HEADERS on a half-closed stream', headers(GET + [('x-wait', '1')]) + get(), 'rst STREAM_CLOSED')
case('5.1 CONTINUATION on a half-closed stream', get(('x-wait', '1')) + frame(CONTINUATION, 4, 1), 'goaway PROTOCOL_ERROR')
case('5.1 DATA on a stream that the client has reset', post() + frame(RST, 0, 1, struct.pack('>I', 8)) + data(b'x'), 'rst STREAM_CLOSED|goaway STREAM_CLOSED')
case('5.1 HEADERS on a stream that the client has reset', post() + frame(RST, 0, 1, struct.pack('>I', 8)) + get(), 'goaway STREAM_CLOSED')
case('5.1 WINDOW_UPDATE on a closed stream', post() + frame(RST, 0, 1, struct.pack('>I', 8)) + frame(WINDOW, 0, 1, b'\0\0\0\1'), 'alive')
case('5.1 RST_STREAM on a closed stream', post() + 2 * frame(RST, 0, 1, struct.pack('>I', 8)), 'alive')
case('5.1 PRIORITY on a closed stream', post() + frame(RST, 0, 1, struct.pack('>I', 8)) + frame(PRIORITY, 0, 1, bytes(5)), 'alive')
case('5.1.1 an even stream', get(stream=2), 'goaway PROTOCOL_ERROR')
case('5.1.1 stream 0', get(stream=0), 'goaway PROTOCOL_ERROR')
case('5.1.1 a lower stream than before', get(('x-wait', '1'), stream=5) + get(stream=3), 'goaway STREAM_CLOSED|goaway PROTOCOL_ERROR')
case('5.1.1 streams may be left out', get(stream=1) + get(stream=101), '200')
case('5.1.2 more streams than allowed', b''.join(post(stream=1 + 2 * i) for i in range(101)), 'rst REFUSED_STREAM')

# -- DATA (6.1)
case('6.1 DATA on stream 0', data(b'x', stream=0), 'goaway PROTOCOL_ERROR')
case('6.1 padding is taken off', post() + frame(DATA, END_STREAM | PADDED, 1, b'\x03abc\0\0\0'), '200')
case('6.1 padding alone', post() + frame(DATA, END_STREAM | PADDED, 1, b'\x03\0\0\0'), '200')
case('6.1 as much padding as payload', post() + frame(DATA, END_STREAM | PADDED, 1, b'\x05\0\0\0\0'), 'goaway PROTOCOL_ERROR')
case('6.1 more padding than payload', post() + frame(DATA, END_STREAM | PADDED, 1, b'\xffabc'), 'goaway PROTOCOL_ERROR')
case('6.1 padded without a length', post() + frame(DATA, END_STREAM | PADDED, 1), 'goaway FRAME_SIZE_ERROR')
case('6.1 an empty DATA ends the request', post() + data(), '200')
case('6.1 several DATA', post() + data(b'a', flags=0) + data(b'b', flags=0) + data(b'c'), '200')

# -- HEADERS (6.2)
case('6.2 padding is taken off', frame(HEADERS, 5 | PADDED, 1, b'\x03' + block(GET) + bytes(3)), '200')
case('6.2 a priority is taken off', frame(HEADERS, 5 | WITH_PRIORITY, 1, bytes(4) + b'\x10' + block(GET)), '200')
case('6.2 padding and a priority', frame(HEADERS, 5 | WITH_PRIORITY | PADDED, 1, b'\x02' + bytes(4) + b'\x10' + block(GET) + bytes(2)), '200')
case('6.2 more padding than payload', frame(HEADERS, 5 | PADDED, 1, b'\xff' + block(GET)), 'goaway PROTOCOL_ERROR')
case('6.2 padded without a length', frame(HEADERS, 5 | PADDED, 1), 'goaway PROTOCOL_ERROR|goaway FRAME_SIZE_ERROR')
case('6.2 a priority that is cut off', frame(HEADERS, 5 | WITH_PRIORITY, 1, bytes(3)), 'goaway PROTOCOL_ERROR|goaway FRAME_SIZE_ERROR')
case('6.2 a stream that depends on itself', frame(HEADERS, 5 | WITH_PRIORITY, 1, struct.pack('>IB', 1, 16) + block(GET)), 'rst PROTOCOL_ERROR')

# -- PRIORITY (6.3), RST_STREAM (6.4)
case('6.3 PRIORITY on stream 0', frame(PRIORITY, 0, 0, bytes(5)), 'goaway PROTOCOL_ERROR')
case('6.3 PRIORITY of another length', get(('x-wait', '1')) + frame(PRIORITY, 0, 1, bytes(4)), 'rst FRAME_SIZE_ERROR|goaway FRAME_SIZE_ERROR')
case('6.3 a stream that depends on itself', get(('x-wait', '1')) + frame(PRIORITY, 0, 1, struct.pack('>IB', 1, 16)), 'rst PROTOCOL_ERROR')
case('6.4 RST_STREAM on stream 0', frame(RST, 0, 0, bytes(4)), 'goaway PROTOCOL_ERROR')
case('6.4 RST_STREAM of another length', get(('x-wait', '1')) + frame(RST, 0, 1, bytes(3)), 'goaway FRAME_SIZE_ERROR')
case('6.4 RST_STREAM of an unknown code', post() + frame(RST, 0, 1, b'\xff\xff\xff\xff'), 'alive')

# -- SETTINGS (6.5)
case('6.5 SETTINGS on a stream', settings(stream=1), 'goaway PROTOCOL_ERROR')
case('6.5 SETTINGS of another length', frame(SETTINGS, payload=bytes(5)), 'goaway FRAME_SIZE_ERROR')
case('6.5 an ACK with a payload', frame(SETTINGS, ACK, 0, bytes(6)), 'goaway FRAME_SIZE_ERROR')
case('6.5 an ACK of nothing', frame(SETTINGS, ACK), 'alive')
case('6.5.2 ENABLE_PUSH of 2', settings((2, 2)), 'goaway PROTOCOL_ERROR')
case('6.5.2 ENABLE_PUSH of 1', settings((2, 1)) + get(), '200')
case('6.5.2 INITIAL_WINDOW_SIZE of 2^31', settings((4, 2 ** 31)), 'goaway FLOW_CONTROL_ERROR')
case('6.5.2 INITIAL_WINDOW_SIZE of 2^31-1', settings((4, 2 ** 31 - 1)) + get(), '200')
case('6.5.2 MAX_FRAME_SIZE of 16383', settings((5, 16383)), 'goaway PROTOCOL_ERROR')
case('6.5.2 MAX_FRAME_SIZE of 2^24', settings((5, 2 ** 24)), 'goaway PROTOCOL_ERROR')
case('6.5.2 MAX_FRAME_SIZE of 2^24-1', settings((5, 2 ** 24 - 1)) + get(), '200')
case('6.5.2 MAX_HEADER_LIST_SIZE of 1', settings((6, 1)) + get(), '200')
case('6.5.2 an unknown setting', settings((0xff, 1)) + get(), '200')
case('6.5.2 HEADER_TABLE_SIZE of 0', settings((1, 0)) + get(), '200')
case('6.5.2 HEADER_TABLE_SIZE of 2^32-1', settings((1, 2 ** 32 - 1)) + get(), '200')
case('8441 ENABLE_CONNECT_PROTOCOL of 2', settings((8, 2)), 'goaway PROTOCOL_ERROR')

# -- PUSH_PROMISE (6.6), PING (6.7), GOAWAY (6.8)
case('6.6 PUSH_PROMISE of a client', get(('x-wait', '1')) + frame(PUSH, 4, 1, struct.pack('>I', 2) + block(GET)), 'goaway PROTOCOL_ERROR')
case('6.7 PING on a stream', frame(PING, 0, 1, bytes(8)), 'goaway PROTOCOL_ERROR')
case('6.7 PING of another length', frame(PING, 0, 0, bytes(6)), 'goaway FRAME_SIZE_ERROR')
case('6.7 an ACK of nothing', frame(PING, ACK, 0, bytes(8)), 'alive')
case('6.8 GOAWAY on a stream', frame(GOAWAY, 0, 1, bytes(8)), 'goaway PROTOCOL_ERROR')
case('6.8 GOAWAY of another length', frame(GOAWAY, 0, 0, bytes(7)), 'goaway FRAME_SIZE_ERROR')
case('6.8 what was asked before a GOAWAY is answered', get() + frame(GOAWAY, 0, 0, bytes(8)), '200')

# -- flow control (6.9)
case('6.9 WINDOW_UPDATE of 0 on the connection', frame(WINDOW, 0, 0, bytes(4)), 'goaway PROTOCOL_ERROR')
case('6.9 WINDOW_UPDATE of 0 on a stream', post() + frame(WINDOW, 0, 1, bytes(4)), 'rst PROTOCOL_ERROR')
case('6.9 WINDOW_UPDATE of another length', frame(WINDOW, 0, 0, bytes(3)), 'goaway FRAME_SIZE_ERROR')
case('6.9.1 the window of the connection beyond 2^31-1', frame(WINDOW, 0, 0, struct.pack('>I', 2 ** 31 - 1)), 'goaway FLOW_CONTROL_ERROR')
case('6.9.1 the window of a stream beyond 2^31-1', post() + frame(WINDOW, 0, 1, struct.pack('>I', 2 ** 31 - 1)), 'rst FLOW_CONTROL_ERROR')
case('6.9.2 a window that a setting makes negative', post() + settings((4, 1)) + settings((4, 0)) + settings((4, 65535)) + data(b'x'), '200')
case('6.9.2 a window that a setting makes too large', post() + frame(WINDOW, 0, 1, struct.pack('>I', 2 ** 31 - 65536)) + settings((4, 65536)), 'goaway FLOW_CONTROL_ERROR')
case('6.9.2 a response waits for the window of SETTINGS', settings((4, 0)) + get() + settings((4, 65535)), '200')
case('6.9.1 a response waits for the window of its stream', settings((4, 0)) + get() + frame(WINDOW, 0, 1, struct.pack('>I', 100000)), '200')
case('6.9.1 a response comes a byte at a time', settings((4, 1)) + get() + b''.join(frame(WINDOW, 0, 1, b'\0\0\0\1') for _ in range(60)) + frame(WINDOW, 0, 1, b'\0\1\0\0'), '200')

# -- CONTINUATION (6.10)
B = block(GET)
case('6.10 a block in two frames', frame(HEADERS, 1, 1, B[:5]) + frame(CONTINUATION, 4, 1, B[5:]), '200')
case('6.10 a block in four frames, cut anywhere', frame(HEADERS, 1, 1, B[:1]) + frame(CONTINUATION, 0, 1, B[1:2]) + frame(CONTINUATION, 0, 1, B[2:9]) + frame(CONTINUATION, 4, 1, B[9:]), '200')
case('6.10 empty fragments', frame(HEADERS, 1, 1) + frame(CONTINUATION, 0, 1) + frame(CONTINUATION, 4, 1, B), '200')
case('6.10 CONTINUATION without HEADERS', get(('x-wait', '1')) + frame(CONTINUATION, 4, 1, B), 'goaway PROTOCOL_ERROR')
case('6.10 CONTINUATION on stream 0', frame(HEADERS, 1, 1, B) + frame(CONTINUATION, 4, 0), 'goaway PROTOCOL_ERROR')
case('6.10 too many of them', frame(HEADERS, 1, 1, B) + b''.join(frame(CONTINUATION, 0, 1) for _ in range(40)), 'goaway ENHANCE_YOUR_CALM')
case('6.10 too much of them', frame(HEADERS, 1, 1, B) + b''.join(frame(CONTINUATION, 0, 1, literal(b'x', bytes([0x61]) * 16000)) for _ in range(9)), 'goaway ENHANCE_YOUR_CALM')

# -- requests (section 8)
for name in (':method', ':scheme', ':path'):
    case(f'8.3.1 without {name}', headers(without(name)), 'rst PROTOCOL_ERROR')
    case(f'8.3.1 an empty {name}', headers(without(name) + [(name, '')]), 'rst PROTOCOL_ERROR')
    case(f'8.3.1 {name} twice', headers(GET + [field for field in GET if field[0] == name]), 'rst PROTOCOL_ERROR')
case('8.3.1 :authority twice', headers(GET + [(':authority', 'localhost')]), 'rst PROTOCOL_ERROR')
case('8.3.1 neither :authority nor Host', headers(without(':authority')), '400|rst PROTOCOL_ERROR')
case('8.3.1 Host instead of :authority', headers(without(':authority') + [('host', 'localhost')]), '200')
case('8.3.1 a Host that is the same', get(('host', 'LOCALHOST')), '200')
case('8.3.1 a Host that is the same with the port of its scheme', get(('host', 'localhost:80')), '200')
case('8.3.1 a Host that is the same with no port behind its colon', get(('host', 'localhost:')), '200')
case('8.3.1 a Host that is the same without the port of :authority', headers([(':method', 'GET'), (':scheme', 'https'), (':path', '/'), (':authority', 'localhost:443'), ('host', 'localhost')]), '200')
case('8.3.1 a Host with the port of another scheme', get(('host', 'localhost:443')), 'rst PROTOCOL_ERROR')
case('8.3.1 a Host that is another', get(('host', 'other')), 'rst PROTOCOL_ERROR')
case('8.3.1 two Hosts', headers(without(':authority') + [('host', 'a'), ('host', 'b')]), '400|rst PROTOCOL_ERROR')
case('8.3.1 a :path without a slash', headers(without(':path') + [(':path', 'x')]), 'rst PROTOCOL_ERROR')
case('8.3.1 a :path that is a URL', headers(without(':path') + [(':path', 'http://evil/')]), 'rst PROTOCOL_ERROR')
case('8.3.1 a :path with a blank', headers(without(':path') + [(':path', '/a b')]), 'rst PROTOCOL_ERROR')
case('8.3.1 a :path with a fragment', headers(without(':path') + [(':path', '/a#b')]), 'rst PROTOCOL_ERROR')
case('8.3.1 OPTIONS *', headers([(':method', 'OPTIONS'), (':scheme', 'http'), (':path', '*'), (':authority', 'a')]), '200')
case('8.3.1 GET *', headers(without(':path') + [(':path', '*')]), 'rst PROTOCOL_ERROR')
case('8.3.1 an unknown scheme', headers(without(':scheme') + [(':scheme', 'gopher')]), 'rst PROTOCOL_ERROR')
case('8.3.1 a :method with a blank', headers(without(':method') + [(':method', 'GET /x')]), 'rst PROTOCOL_ERROR')
case('8.3.1 a user in :authority', headers(without(':authority') + [(':authority', 'a@b')]), '400|rst PROTOCOL_ERROR')
case('8.3 an unknown pseudo-field', headers([(':unknown', 'x')] + GET), 'rst PROTOCOL_ERROR')
case('8.3 a pseudo-field of responses', headers([(':status', '200')] + GET), 'rst PROTOCOL_ERROR')
case('8.3 a pseudo-field behind a field', headers(GET[:3] + [('x', 'y'), GET[3]]), 'rst PROTOCOL_ERROR')
case('8.5 CONNECT is not served', headers([(':method', 'CONNECT'), (':authority', 'a:443')]), '501|rst PROTOCOL_ERROR')
case('8.5 CONNECT with a :path', headers([(':method', 'CONNECT'), (':scheme', 'http'), (':path', '/'), (':authority', 'a:443')]), 'rst PROTOCOL_ERROR')
case('8441 an unknown :protocol', headers([(':method', 'CONNECT'), (':protocol', 'other'), (':scheme', 'http'), (':path', '/'), (':authority', 'a')], flags=END_HEADERS), '501')
case('8441 a :protocol without CONNECT', headers(GET + [(':protocol', 'websocket')]), 'rst PROTOCOL_ERROR')
case('8.2.1 a name with a capital', raw_get(literal(b'X-Test', b'a')), 'rst PROTOCOL_ERROR')
for byte in (0x00, 0x0a, 0x0d, 0x20, 0x3a, 0x7f, 0x80):
    case(f'8.2.1 a name with byte {byte:#04x}', raw_get(literal(b'x' + bytes([byte]) + b'y', b'a')), 'rst PROTOCOL_ERROR')
for byte in (0x00, 0x0a, 0x0d):
    case(f'8.2.1 a value with byte {byte:#04x}', raw_get(literal(b'x', b'a' + bytes([byte]) + b'b')), 'rst PROTOCOL_ERROR')
case('8.2.1 an empty name', raw_get(literal(b'', b'a')), 'rst PROTOCOL_ERROR')
case('8.2.1 an empty value', raw_get(literal(b'x', b'')), '200')
case('8.2.1 a value of high bytes', raw_get(literal(b'x', b'\xe4\xff')), '200')
for value in (b' a', b'a ', b'\ta', b'a\t'):
    case(f'8.2.1 a value with blanks around: {value}', raw_get(literal(b'x', value)), 'rst PROTOCOL_ERROR')
for name in ('connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'):
    case(f'8.2.2 {name}', get((name, 'close')), 'rst PROTOCOL_ERROR')
case('8.2.2 transfer-encoding: chunked', post(('transfer-encoding', 'chunked')) + data(b'0\r\n\r\n'), 'rst PROTOCOL_ERROR')
case('8.2.2 te: trailers', get(('te', 'trailers')), '200')
case('8.2.2 te: gzip', get(('te', 'gzip')), 'rst PROTOCOL_ERROR')
case('8.2.3 cookies in crumbs', get(('cookie', 'a=1'), ('cookie', 'b=2')), '200')
case('8.1.1 the content-length that there is', post(('content-length', '3')) + data(b'abc'), '200')
case('8.1.1 a larger content-length', post(('content-length', '4')) + data(b'abc'), 'rst PROTOCOL_ERROR')
case('8.1.1 a smaller content-length', post(('content-length', '2')) + data(b'abc'), 'rst PROTOCOL_ERROR')
case('8.1.1 a smaller content-length, over several DATA', post(('content-length', '2')) + data(b'ab', flags=0) + data(b'c'), 'rst PROTOCOL_ERROR')
case('8.1.1 a content-length without a body', headers(POST + [('content-length', '1')]), 'rst PROTOCOL_ERROR')
case('8.1.1 a content-length of 0 without a body', headers(POST + [('content-length', '0')]), '200')
case('8.1.1 two content-lengths', post(('content-length', '3'), ('content-length', '3')) + data(b'abc'), '400|rst PROTOCOL_ERROR')
case('8.1.1 a malformed content-length', post(('content-length', '+3')) + data(b'abc'), '400|rst PROTOCOL_ERROR')
case('8.1 trailers', post() + data(b'abc', flags=0) + headers([('x-t', 'y')]), '200')
case('8.1 trailers without END_STREAM', post() + headers([('x-t', 'y')], flags=END_HEADERS), 'rst PROTOCOL_ERROR')
case('8.1 a pseudo-field among trailers', post() + headers([(':path', '/')]), 'rst PROTOCOL_ERROR')
case('8.1 a capital among trailers', post() + frame(HEADERS, 5, 1, literal(b'X', b'y')), 'rst PROTOCOL_ERROR')
case('8.1 transfer-encoding among trailers', post() + headers([('transfer-encoding', 'chunked')]), 'rst PROTOCOL_ERROR')
case('8.1 DATA behind trailers', post(('x-wait', '1')) + headers([('x-t', 'y')]) + data(b'x'), 'rst STREAM_CLOSED')
case('8.1 more fields than allowed', raw_get(b''.join(literal(b'x%d' % i, b'y') for i in range(200))), '431')
case('8.1 larger fields than allowed', raw_get(b'\x40\x01x' + encode_integer(3000, 7) + b'a' * 3000 + b'\xbe' * 10), '431')
case('8.1 HEAD', headers([(':method', 'HEAD')] + without(':method')), '200')
case('8.1 a body that nobody asked for', headers(GET, flags=END_HEADERS) + data(b'x'), '200')

# -- HPACK (7541)
case('7541 2.3.3 an index beyond the tables', raw_get(b'\xff\x00'), 'goaway COMPRESSION_ERROR')
case('7541 4.2 a change of size behind a field', raw_get(b'\x20'), 'goaway COMPRESSION_ERROR')
case('7541 4.2 a change of size in front', frame(HEADERS, 5, 1, b'\x20' + B), '200')
case('7541 4.2 two changes of size', frame(HEADERS, 5, 1, b'\x20\x3f\xe1\x1f' + B), '200')
case('7541 6.3 a size beyond what was announced', frame(HEADERS, 5, 1, b'\x3f\xe2\x1f' + B), 'goaway COMPRESSION_ERROR')
case('7541 5.1 an integer that does not end', raw_get(b'\xff' + b'\xff' * 20), 'goaway COMPRESSION_ERROR')
case('7541 5.2 padding of zeros', raw_get(b'\x00\x85\xa8\xeb\x10\x64\x9c\x01x'), 'goaway COMPRESSION_ERROR')
case('7541 5.2 padding longer than seven bits', raw_get(b'\x00\x86\xf2\xb2\x4a\x84\xff\xff\x01x'), 'goaway COMPRESSION_ERROR')
case('7541 5.2 EOS', raw_get(b'\x00\x84\xff\xff\xff\xff\x01x'), 'goaway COMPRESSION_ERROR')
case('7541 6.1 index 0', raw_get(b'\x80'), 'goaway COMPRESSION_ERROR')
case('7541 6.2.3 a literal that is never indexed', raw_get(b'\x10\x01a\x01b'), '200')
case('7541 a block that decodes to far too much', raw_get(b'\x40\x01a\x7f\x81\x1f' + b'v' * 4096 + b'\xbe' * 12000), 'goaway ENHANCE_YOUR_CALM|goaway COMPRESSION_ERROR')

# -- priorities (9218)
case('9218 a priority field', get(('priority', 'u=0, i')), '200')
case('9218 PRIORITY_UPDATE before its stream', frame(16, 0, 0, b'\0\0\0\1u=1') + get(), '200')
case('9218 PRIORITY_UPDATE of no stream', frame(16, 0, 0, b'\0\0\0\0u=1'), 'goaway PROTOCOL_ERROR')
case('9218 PRIORITY_UPDATE of a stream that is pushed', frame(16, 0, 0, b'\0\0\0\2u=1'), 'goaway PROTOCOL_ERROR')
case('9218 a priority field that is none', get(('priority', 'u=9;;')), '200')
case('9218 PRIORITY_UPDATE', frame(16, 0, 0, struct.pack('>I', 1) + b'u=1') + get(), '200')
case('9218 PRIORITY_UPDATE on a stream', frame(16, 0, 1, struct.pack('>I', 1) + b'u=1'), 'goaway PROTOCOL_ERROR')
case('9218 PRIORITY_UPDATE that is too short', frame(16, 0, 0, b'abc'), 'goaway FRAME_SIZE_ERROR')

SYNC = b'conforms'


class Peer:
    """Reads what the server sends, frame by frame."""

    def __init__(self):
        self.socket = socket.create_connection(('127.0.0.1', PORT), timeout=20)
        self.buffer = b''

    def frame(self):
        while True:
            if len(self.buffer) >= 9:
                found, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    payload = self.buffer[9:9 + length]
                    self.buffer = self.buffer[9 + length:]
                    found.parse_body(memoryview(payload))
                    return found
            more = self.socket.recv(65536)
            if not more:
                return None
            self.buffer += more


def seen_of(sent, expected):
    from hpack import Decoder
    peer = Peer()
    decoder = Decoder()
    status = None
    reset = None
    wants_status = expected[0].isdigit()
    synced = False
    try:
        peer.socket.sendall(sent + frame(PING, payload=SYNC))
    except OSError:
        pass
    while True:
        try:
            got = peer.frame()
        except OSError:
            got = None
        if got is None:
            return 'closed'
        name = type(got).__name__
        if name == 'GoAwayFrame':
            return 'goaway ' + CODES.get(got.error_code, str(got.error_code))
        if name == 'RstStreamFrame' and got.error_code != 0:
            reset = 'rst ' + CODES.get(got.error_code, str(got.error_code))
        if name == 'PingFrame' and got.opaque_data == SYNC:
            synced = True
        if name == 'HeadersFrame':
            fields = decoder.decode(got.data)
            status = next((str(value) for field, value in fields if field in (':status', b':status')), status)
        ended = name in ('HeadersFrame', 'DataFrame') and 'END_STREAM' in got.flags
        if ended and wants_status:
            return status
        if synced and reset is not None:
            return reset
        if synced and not wants_status:
            return 'alive'


def run(one):
    name, sent, expected = one
    try:
        seen = seen_of(sent, expected)
    except Exception as error:
        seen = f'error {error!r}'
    return {'name': name, 'expected': expected, 'seen': seen}


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for result in pool.map(run, CASES):
        print(json.dumps(result))
