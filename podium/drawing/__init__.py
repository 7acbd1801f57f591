"""What a person looks at: figures, galleries of rows, and what their colours mean."""
