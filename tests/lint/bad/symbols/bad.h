int slipring_both(void);
int slipring_header_only(int a, int b);
