"""The unit pack_documents."""
