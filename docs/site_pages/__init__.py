"""Extensions of the site: links into the repository, and reference pages generated from the package."""
