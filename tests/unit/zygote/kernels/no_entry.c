/* Is a shared object, but no kernel. */
int no_entry(void);

int no_entry(void)
{
    return 0;
}
