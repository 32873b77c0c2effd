/*
 * Text as JSON, as docker's json-file has it: valid UTF-8 as it is, everything else as U+FFFD.
 */
#include "relay.h"

/* The length of the character that a byte begins; 0: it begins none. */
static size_t announced(unsigned char byte)
{
	if (byte < 0x80)
		return 1;
	if (byte >= 0xc2 && byte <= 0xdf)
		return 2;
	if (byte >= 0xe0 && byte <= 0xef)
		return 3;
	return byte >= 0xf0 && byte <= 0xf4 ? 4 : 0;
}

/* Whether the second byte may follow the first: no overlong forms, no surrogates, nothing after U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
	unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	return second >= least && second <= most;
}

/* How many bytes here belong to one character, whether it is whole or not. */
static size_t fitting(const unsigned char *text, size_t length, size_t wanted)
{
	size_t count = 1;

	if (wanted > 1 && length > 1 && second_fits(text[0], text[1]))
		for (count = 2; count < wanted && count < length; count++)
			if ((text[count] & 0xc0) != 0x80)
				break;
	return count;
}

static char *put(char *to, const char *text, size_t length)
{
	memcpy(to, text, length);
	return to + length;
}

static char *put_control(char *to, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";

	switch (byte) {
	case '\n':
		return put(to, "\\n", 2);
	case '\r':
		return put(to, "\\r", 2);
	case '\t':
		return put(to, "\\t", 2);
	case '"':
		return put(to, "\\\"", 2);
	case '\\':
		return put(to, "\\\\", 2);
	default:
		to = put(to, "\\u00", 4);
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
		return to;
	}
}

char *json_escape(char *to, const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + length;

	while (at < end) {
		size_t wanted = announced(*at);
		if (wanted == 1) {
			if (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7f)
				to = put_control(to, *at);
			else
				*to++ = (char)*at;
			at++;
			continue;
		}
		size_t count = wanted ? fitting(at, (size_t)(end - at), wanted) : 1;
		if (count == wanted)
			to = put(to, (const char *)at, count);
		else
			to = put(to, "\\ufffd", 6);
		at += count;
	}
	return to;
}

size_t json_unfinished(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t back = 1; back <= 3 && back <= length; back++) {
		const unsigned char *at = bytes + length - back;
		size_t wanted = announced(*at);
		if (wanted > back && fitting(at, back, wanted) == back)
			return back;
		if ((*at & 0xc0) != 0x80)
			return 0;
	}
	return 0;
}
