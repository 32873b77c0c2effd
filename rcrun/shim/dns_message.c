/*
 * Messages of the DNS (RFC 1035, EDNS0 of RFC 6891): the question of a query, and answers from a table of names.
 *
 * Queries come from containers, replies from wherever upstream is: no byte is looked at before the length says that it
 * is there. Nothing in here knows of sockets (tests/shim/dns_fuzz.c).
 */

#include "dns.h"

#include <stdio.h>

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_AAAA = 28, TYPE_OPT = 41, TYPE_ANY = 255, CLASS_IN = 1 };
enum { FLAG_QR = 0x8000, FLAG_AA = 0x0400, FLAG_TC = 0x0200, FLAG_RD = 0x0100, FLAG_RA = 0x0080 };
enum { OPCODE = 0x7800, OPT_LENGTH = 11, BADVERS = 1 /* in OPT: rcode 16 */ };
enum { LARGEST_UDP = 4096 };

static int lower(int byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

/* A name without pointers, which a question has no use for; the offset behind it, 0 for what is none. */
static size_t read_name(const unsigned char *message, size_t length, size_t at, char *name)
{
	size_t used = 0;

	while (at < length && message[at]) {
		size_t label = message[at++];
		if (label > 63 || label > length - at || used + label + 1 >= DNS_NAME)
			return 0;
		if (used)
			name[used++] = '.';
		for (size_t i = 0; i < label; i++, at++) {
			int byte = lower(message[at]);
			/* a dot within a label is no dot, and nobody's name */
			name[used++] = byte == '.' || byte == 0 ? '\1' : (char)byte;
		}
	}
	name[used] = '\0';
	return at < length ? at + 1 : 0;
}

static size_t skip_name(const unsigned char *message, size_t length, size_t at)
{
	while (at < length && message[at]) {
		if (message[at] >= 0xc0)
			return at + 2;
		if (message[at] > 63)
			return 0;
		at += (size_t)message[at] + 1;
	}
	return at < length ? at + 1 : 0;
}

/* The OPT record, if there is one among those that follow the question. */
static int read_options(const unsigned char *message, size_t length, struct dns_question *question)
{
	unsigned count = dns_get16(message + 6) + dns_get16(message + 8) + dns_get16(message + 10);
	size_t at = question->end;

	for (; count; count--) {
		size_t record = skip_name(message, length, at);
		if (!record || record > length || length - record < 10)
			return DNS_FORMERR;
		size_t data = dns_get16(message + record + 8);
		if (data > length - record - 10)
			return DNS_FORMERR;
		if (dns_get16(message + record) == TYPE_OPT) {
			question->edns = true;
			question->edns_version = message[record + 5];
			question->udp_size = dns_get16(message + record + 2);
		}
		at = record + 10 + data;
	}
	if (question->udp_size < DNS_PLAIN)
		question->udp_size = DNS_PLAIN;
	if (question->udp_size > LARGEST_UDP)
		question->udp_size = LARGEST_UDP;
	return 0;
}

int dns_read(const unsigned char *message, size_t length, struct dns_question *question)
{
	*question = (struct dns_question){.end = DNS_HEADER, .udp_size = DNS_PLAIN};
	if (length < DNS_HEADER || dns_get16(message + 2) & FLAG_QR)
		return -1;
	if (dns_get16(message + 2) & OPCODE)
		return DNS_NOTIMP;
	if (dns_get16(message + 4) != 1)
		return DNS_FORMERR;
	size_t end = read_name(message, length, DNS_HEADER, question->name);
	if (!end || length - end < 4)
		return DNS_FORMERR;
	question->type = (uint16_t)dns_get16(message + end);
	question->class = (uint16_t)dns_get16(message + end + 2);
	question->end = end + 4;
	return read_options(message, length, question);
}

/* --- answers ----------------------------------------------------------------------------------------- */

struct writer {
	unsigned char *reply;
	size_t length, room;
	unsigned count;
	bool truncated;
};

static struct writer begin(const unsigned char *query, const struct dns_question *question,
			   unsigned char *reply, size_t room)
{
	unsigned flags = dns_get16(query + 2) & (OPCODE | FLAG_RD);

	memcpy(reply, query, question->end);
	dns_put16(reply + 2, flags | FLAG_QR | FLAG_RA);
	dns_put16(reply + 4, question->end > DNS_HEADER);
	memset(reply + 6, 0, 6);
	if (question->edns)
		room -= OPT_LENGTH;
	return (struct writer){.reply = reply, .length = question->end, .room = room};
}

static size_t finish(struct writer *writer, const struct dns_question *question, int rcode)
{
	unsigned char *end = writer->reply + writer->length;
	unsigned flags = dns_get16(writer->reply + 2) | (unsigned)rcode;

	dns_put16(writer->reply + 2, flags | (writer->truncated ? FLAG_TC : 0));
	dns_put16(writer->reply + 6, writer->count);
	if (!question->edns)
		return writer->length;
	dns_put16(writer->reply + 10, 1);
	memset(end, 0, OPT_LENGTH);
	dns_put16(end + 1, TYPE_OPT);
	dns_put16(end + 3, DNS_OFFERED);
	end[5] = question->edns_version ? BADVERS : 0;
	return writer->length + OPT_LENGTH;
}

/* For the name in the question. It may be asked for again at once: the next container has another address. */
static void add_record(struct writer *writer, unsigned type, const void *data, size_t length)
{
	unsigned char *at = writer->reply + writer->length;

	if (writer->truncated || writer->length + 12 + length > writer->room ||
	    writer->count == 0xffff) {
		writer->truncated = true;
		return;
	}
	dns_put16(at, 0xc000 | DNS_HEADER);
	dns_put16(at + 2, type);
	dns_put16(at + 4, CLASS_IN);
	memset(at + 6, 0, 4);
	dns_put16(at + 10, (unsigned)length);
	memcpy(at + 12, data, length);
	writer->length += 12 + length;
	writer->count++;
}

static bool is_ipv4(const struct in6_addr *address)
{
	return IN6_IS_ADDR_V4MAPPED(address);
}

static bool fits(const struct dns_entry *entry, unsigned type)
{
	return type == TYPE_ANY || type == (is_ipv4(&entry->address) ? TYPE_A : TYPE_AAAA);
}

/* Those of the wanted type with a number in [from, to); how many there are in all. */
static unsigned add_addresses(struct writer *writer, const struct dns_scope *scope,
			      const struct dns_question *question, unsigned from, unsigned to)
{
	unsigned number = 0;

	for (size_t i = 0; i < scope->count; i++) {
		const struct dns_entry *entry = NULL;
		while ((entry = dns_named(scope->names[i], question->name, entry))) {
			if (!fits(entry, question->type))
				continue;
			bool four = is_ipv4(&entry->address);
			if (number >= from && number < to)
				add_record(writer, four ? TYPE_A : TYPE_AAAA,
					   entry->address.s6_addr + (four ? 12 : 0), four ? 4 : 16);
			number++;
		}
	}
	return number;
}

static bool is_known(const struct dns_scope *scope, const char *name)
{
	for (size_t i = 0; i < scope->count; i++)
		if (dns_named(scope->names[i], name, NULL))
			return true;
	return false;
}

/* The decimal number before the dot; -1: none. */
static int octet(const char **at)
{
	int value = 0, digits = 0;

	for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
		value = value * 10 + (**at - '0');
	if (!digits || value > 255 || **at != '.')
		return -1;
	(*at)++;
	return value;
}

static int nibble(const char **at)
{
	const char *const digits = "0123456789abcdef";
	const char *digit = **at ? strchr(digits, **at) : NULL;

	if (!digit || (*at)[1] != '.')
		return -1;
	*at += 2;
	return (int)(digit - digits);
}

/* d.c.b.a.in-addr.arpa, and nibbles before ip6.arpa */
static bool reversed(const char *name, struct in6_addr *address)
{
	const char *at = name;
	int value = 0;

	memset(address, 0, sizeof(*address));
	memset(address->s6_addr + 10, 0xff, 2);
	for (int i = 15; i >= 12 && (value = octet(&at)) >= 0; i--)
		address->s6_addr[i] = (unsigned char)value;
	if (value >= 0 && strcmp(at, "in-addr.arpa") == 0)
		return true;
	at = name;
	for (int i = 31; i >= 0; i--) {
		unsigned char *byte = &address->s6_addr[i / 2];
		if ((value = nibble(&at)) < 0)
			return false;
		*byte = (unsigned char)(i % 2 ? value : *byte | value << 4);
	}
	return strcmp(at, "ip6.arpa") == 0;
}

static const char *name_of(const struct dns_scope *scope, const struct in6_addr *address)
{
	for (size_t i = 0; i < scope->count; i++) {
		const struct dns_entry *entry = dns_addressed(scope->names[i], address, NULL);
		if (entry)
			return entry->name;
	}
	return NULL;
}

static void add_pointer(struct writer *writer, const char *name)
{
	unsigned char data[DNS_NAME + 2];
	size_t used = 0;

	while (*name) {
		size_t label = strcspn(name, ".");
		data[used++] = (unsigned char)label;
		memcpy(data + used, name, label);
		used += label;
		name += label + (name[label] == '.');
	}
	data[used++] = 0;
	add_record(writer, TYPE_PTR, data, used);
}

size_t dns_answer(const struct dns_scope *scope, const unsigned char *query,
		  const struct dns_question *question, unsigned turn, unsigned char *reply,
		  size_t room)
{
	struct in6_addr address;
	bool by_name = is_known(scope, question->name);
	const char *pointer = !by_name && reversed(question->name, &address)
				      ? name_of(scope, &address)
				      : NULL;

	if (question->class != CLASS_IN || (!by_name && !pointer))
		return 0;
	struct writer writer = begin(query, question, reply, room);
	dns_put16(reply + 2, dns_get16(reply + 2) | FLAG_AA);
	if (question->edns_version)
		return finish(&writer, question, DNS_OK);
	if (pointer) {
		if (question->type == TYPE_PTR || question->type == TYPE_ANY)
			add_pointer(&writer, pointer);
		return finish(&writer, question, DNS_OK);
	}
	unsigned count = add_addresses(&writer, scope, question, 0, 0);
	unsigned first = count ? turn % count : 0;
	(void)add_addresses(&writer, scope, question, first, count);
	(void)add_addresses(&writer, scope, question, 0, first);
	return finish(&writer, question, DNS_OK);
}

size_t dns_failure(const unsigned char *query, const struct dns_question *question, int rcode,
		   unsigned char *reply)
{
	struct writer writer = begin(query, question, reply, DNS_PLAIN);

	return finish(&writer, question, rcode);
}

bool dns_answers(const unsigned char *reply, size_t length, const unsigned char *query,
		 size_t query_length)
{
	struct dns_question asked;

	if (length < DNS_HEADER || !(dns_get16(reply + 2) & FLAG_QR) ||
	    dns_read(query, query_length, &asked) < 0)
		return false;
	/* some servers say no more than that they did not understand */
	if (dns_get16(reply + 4) == 0)
		return (reply[3] & 0xf) != DNS_OK;
	if (length < asked.end)
		return false;
	for (size_t i = DNS_HEADER; i < asked.end; i++)
		if (lower(reply[i]) != lower(query[i]))
			return false;
	return true;
}
