/* What the sanitizers are told, in builds that have them (build --sanitize): the setup process has no environment. */

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	/* leaks: who is not dumpable cannot look for them; a process that execs has no need to free */
	return "detect_leaks=0:log_path=/tmp/rcrun-shim-report";
}
#endif
