/* A file of names (hosts(5)): read whole into a table, which takes the old one's place only when it is complete. */

#include "dns.h"

#include <arpa/inet.h>

bool dns_address(const char *text, struct in6_addr *address)
{
	unsigned char *bytes = address->s6_addr;

	if (inet_pton(AF_INET6, text, address) == 1)
		return true;
	memset(bytes, 0, 10);
	bytes[10] = bytes[11] = 0xff;
	return inet_pton(AF_INET, text, bytes + 12) == 1;
}

char *dns_line(char **at)
{
	char *line = *at;

	if (!*line)
		return NULL;
	*at += strcspn(line, "\n");
	if (**at)
		*(*at)++ = '\0';
	return line;
}

char *dns_word(char **at)
{
	char *word = *at + strspn(*at, " \t\r");

	if (!*word || *word == '#')
		return NULL;
	*at = word + strcspn(word, " \t\r");
	if (**at)
		*(*at)++ = '\0';
	return word;
}

/* In lower case and without a dot at the end; false for what no query could ask for. */
static bool tidy(char *name)
{
	size_t length = strlen(name), label = 0;

	if (length && name[length - 1] == '.')
		name[--length] = '\0';
	if (length == 0 || length > 253)
		return false;
	for (char *at = name; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
		if (*at == '.' ? label == 0 : ++label > 63)
			return false;
		if (*at == '.')
			label = 0;
	}
	return true;
}

static uint32_t hash(const void *data, size_t length)
{
	const unsigned char *at = data;
	uint32_t sum = 2166136261U; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ at[i]) * 16777619U;
	return sum ^ sum >> 15;
}

static size_t count_words(const char *text)
{
	size_t count = 0;

	for (bool in = false; *text; text++) {
		bool blank = *text == ' ' || *text == '\t' || *text == '\n' || *text == '\r';
		count += !blank && !in;
		in = !blank;
	}
	return count;
}

static void read_line(struct dns_names *names, char *line)
{
	struct in6_addr address;
	char *word = dns_word(&line);
	bool also = word && strcmp(word, "also") == 0;

	if (also)
		word = dns_word(&line);
	if (!word || !dns_address(word, &address))
		return;
	while ((word = dns_word(&line))) {
		if (also)
			names->also[names->also_count++] = (struct dns_also){address, word};
		else if (tidy(word))
			names->entries[names->count++] = (struct dns_entry){word, address, DNS_NONE,
									    DNS_NONE};
	}
}

/* From the last to the first, so that each bucket has the file's order. */
static void link_up(struct dns_names *names)
{
	memset(names->by_name, 0xff, (names->mask + 1) * sizeof(uint32_t));
	memset(names->by_address, 0xff, (names->mask + 1) * sizeof(uint32_t));
	for (uint32_t i = names->count; i-- > 0;) {
		struct dns_entry *entry = &names->entries[i];
		uint32_t *name =
			&names->by_name[hash(entry->name, strlen(entry->name)) & names->mask];
		uint32_t *address = &names->by_address[hash(&entry->address, 16) & names->mask];
		entry->next_name = *name;
		entry->next_address = *address;
		*name = *address = i;
	}
}

int dns_names_parse(struct dns_names *names, char *text)
{
	size_t words = count_words(text);
	uint32_t size = 16;
	char *at = text;

	while (size < words && size < 1U << 24)
		size *= 2;
	*names = (struct dns_names){.text = text, .mask = size - 1};
	names->entries = calloc(words + 1, sizeof(*names->entries));
	names->also = calloc(words + 1, sizeof(*names->also));
	names->by_name = calloc(size, sizeof(uint32_t));
	names->by_address = calloc(size, sizeof(uint32_t));
	if (!names->entries || !names->also || !names->by_name || !names->by_address) {
		dns_names_free(names);
		return -1;
	}
	for (char *line; (line = dns_line(&at));)
		read_line(names, line);
	link_up(names);
	return 0;
}

void dns_names_free(struct dns_names *names)
{
	free(names->text);
	free(names->entries);
	free(names->also);
	free(names->by_name);
	free(names->by_address);
	*names = (struct dns_names){0};
}

const struct dns_entry *dns_named(const struct dns_names *names, const char *name,
				  const struct dns_entry *last)
{
	uint32_t i = DNS_NONE;

	if (last)
		i = last->next_name;
	else if (names->count)
		i = names->by_name[hash(name, strlen(name)) & names->mask];
	while (i != DNS_NONE && strcmp(names->entries[i].name, name) != 0)
		i = names->entries[i].next_name;
	return i == DNS_NONE ? NULL : &names->entries[i];
}

const struct dns_entry *dns_addressed(const struct dns_names *names, const struct in6_addr *address,
				      const struct dns_entry *last)
{
	uint32_t i = DNS_NONE;

	if (last)
		i = last->next_address;
	else if (names->count)
		i = names->by_address[hash(address, 16) & names->mask];
	while (i != DNS_NONE && memcmp(&names->entries[i].address, address, 16) != 0)
		i = names->entries[i].next_address;
	return i == DNS_NONE ? NULL : &names->entries[i];
}
